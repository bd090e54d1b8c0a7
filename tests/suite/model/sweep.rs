//! PURE. What a sweep makes of a world, and every world that one killed on its way may leave.

use std::collections::BTreeSet;

use super::step::{ACCOUNTS, COLUMNS, TABLES};
use super::world::{Act, Key, Lease, State, World};

pub type Worlds = BTreeSet<World>;

/// A pending request lapses after so many minutes; one that needs nobody, never in these tests.
pub const WITHIN: u64 = 30;

impl World {
    /// What one sweep that nothing disturbs may lead to.
    pub fn swept(&self) -> Worlds {
        self.run(&mut Worlds::new())
    }

    /// What a sweep may leave that was killed anywhere, or not at all.
    pub fn killed(&self) -> Worlds {
        let mut on_the_way = Worlds::from([self.clone()]);
        let ends = self.run(&mut on_the_way);
        on_the_way.extend(ends);
        on_the_way
    }

    fn run(&self, on_the_way: &mut Worlds) -> Worlds {
        let stages: [fn(&Self, &mut Worlds) -> Worlds; 7] = [
            Self::take_due,
            Self::drain,
            Self::lapse,
            Self::arrive,
            Self::strays,
            Self::recover,
            Self::activate,
        ];
        let mut worlds = Worlds::from([self.clone()]);
        for stage in stages
            .into_iter()
            .chain([Self::take_due as fn(&Self, &mut Worlds) -> Worlds])
        {
            worlds = worlds
                .iter()
                .flat_map(|world| stage(world, on_the_way))
                .collect();
        }
        worlds
    }

    fn take_due(&self, on_the_way: &mut Worlds) -> Worlds {
        let mut world = self.clone();
        for request in &mut world.requests {
            if matches!(request.state, State::Active | State::Granting)
                && request.expires_at <= world.now
            {
                request.state = State::Revoking;
            }
        }
        on_the_way.insert(world.clone());
        let due: Vec<(usize, Key)> = world
            .requests
            .iter()
            .enumerate()
            .filter(|(_, request)| request.state == State::Revoking)
            .flat_map(|(nth, request)| {
                request
                    .leases
                    .iter()
                    .filter(|(_, lease)| !matches!(lease, Lease::Ended))
                    .map(move |(key, _)| (nth, key.clone()))
            })
            .collect();
        let mut worlds = Worlds::from([world]);
        for (nth, key) in due {
            worlds = worlds
                .iter()
                .flat_map(|world| world.end(nth, &key))
                .collect();
            on_the_way.extend(worlds.iter().cloned());
        }
        worlds
            .into_iter()
            .map(|mut world| {
                for request in &mut world.requests {
                    let over = request
                        .leases
                        .values()
                        .all(|lease| matches!(lease, Lease::Ended));
                    if request.state == State::Revoking && over {
                        request.state = if request.fails {
                            State::Failed
                        } else {
                            State::Ended
                        };
                    }
                }
                on_the_way.insert(world.clone());
                world
            })
            .collect()
    }

    /// One due lease.
    fn end(&self, nth: usize, key: &Key) -> Worlds {
        let with = |lease: Lease, row: bool| {
            let mut world = self.clone();
            if !row {
                world.ours.remove(key);
                if !world.by_identity {
                    world.standing.remove(key);
                }
            }
            world.requests[nth].leases.insert(key.clone(), lease);
            world
        };
        let covered = self.requests.iter().any(|other| {
            matches!(other.state, State::Active | State::Granting)
                && matches!(
                    other.leases.get(key),
                    Some(Lease::Live { .. } | Lease::Disputed { .. })
                )
        });
        if self.by_identity {
            return Worlds::from([with(Lease::Ended, covered)]);
        }
        // Here a row has no giver that is certain. What a DBA touched may be said to be disputed, and stays until a
        // person settles it; where it cannot be told, it is taken. What is disputed of one request is of all. But what a
        // DBA has granted too while it was leased must be said to be disputed, and the last lease of it with the others:
        // one that was given after that and is over before them leaves it to them.
        let (touched, settled, doubled) = match self.requests[nth].leases.get(key) {
            Some(Lease::Live {
                touched,
                settled,
                doubled,
            }) => (*touched, *settled, *doubled && !*settled),
            Some(Lease::Disputed { settled }) => (true, *settled, !*settled),
            _ => (false, false, false),
        };
        let there = self.cells().iter().any(|(_, cell)| cell == key);
        let disputed = |lease: &Lease| matches!(lease, Lease::Disputed { settled: false });
        let is_doubled = |lease: &Lease| matches!(lease, Lease::Live { doubled: true, .. });
        let mut all = self.requests.iter().filter_map(|r| r.leases.get(key));
        let doubled = doubled || !covered && all.clone().any(|l| disputed(l) || is_doubled(l));
        let touched = touched || all.any(disputed);
        let row = self.ours.contains(key) || self.standing.contains(key);
        if doubled && row && there {
            return Worlds::from([with(Lease::Disputed { settled: false }, true)]);
        }
        if covered {
            let mut worlds = Worlds::from([with(Lease::Ended, true)]);
            if touched && !settled {
                worlds.insert(with(Lease::Disputed { settled: false }, true));
            }
            return worlds;
        }
        let looks_renamed = !row
            && self.ours.iter().chain(&self.standing).any(|other| {
                other.table == key.table
                    && other.column == key.column
                    && other.account != key.account
            });
        let mut worlds = Worlds::from([with(Lease::Ended, false)]);
        if (touched && row && !settled) || looks_renamed {
            worlds.insert(with(Lease::Disputed { settled: false }, true));
        }
        worlds
    }

    fn drain(&self, on_the_way: &mut Worlds) -> Worlds {
        // Somebody else's mailbox comes first each time; within one, the oldest.
        let mut people: Vec<&'static str> = self.inbox.iter().map(|(person, _)| *person).collect();
        people.sort_unstable();
        people.dedup();
        let mut worlds = Worlds::new();
        for first in 0..people.len().max(1) {
            let mut order: Vec<Act> = Vec::new();
            let mut queues: Vec<Vec<Act>> = people
                .iter()
                .map(|person| {
                    let theirs = self.inbox.iter().filter(|(who, _)| who == person);
                    theirs.map(|(_, act)| act.clone()).rev().collect()
                })
                .collect();
            if !queues.is_empty() {
                queues.rotate_left(first);
            }
            while queues.iter().any(|queue| !queue.is_empty()) {
                order.extend(queues.iter_mut().filter_map(Vec::pop));
            }
            order.sort_by_key(Act::urgency);
            let mut world = self.clone();
            for act in order {
                if world.broken && act.urgency() != 0 {
                    continue;
                }
                world.take_in(&act);
                world.inbox.retain(|(_, other)| *other != act);
                on_the_way.insert(world.clone());
            }
            worlds.insert(world);
        }
        worlds
    }

    /// One act, as the operator judges it.
    fn take_in(&mut self, act: &Act) {
        use State::*;
        let state = |world: &Self, nth: usize| world.requests[nth].state;
        match act {
            Act::Ask(nth) => {
                let held = self.is_held(*nth);
                let extended = self.requests[*nth].extends.map(|other| state(self, other));
                let allowed = self.requests[*nth].columns.iter().all(|c| self.protects(c));
                let now = self.now;
                let request = &mut self.requests[*nth];
                request.lapses_at = now + if request.auto { 24 * 60 } else { WITHIN };
                request.state = match extended {
                    Some(other) if other != Active => Rejected,
                    _ if held || !allowed => Refused,
                    _ => Submitted,
                };
            }
            Act::Approve(nth) => {
                if state(self, *nth) == Pending {
                    self.requests[*nth].state = if self.may(*nth) { Approved } else { Failed };
                }
            }
            Act::Deny(nth) => {
                if matches!(state(self, *nth), Pending | Approved) && !self.requests[*nth].auto {
                    self.requests[*nth].state = Denied;
                }
            }
            Act::Cancel(nth) => {
                if matches!(state(self, *nth), Submitted | Pending | Approved) {
                    self.requests[*nth].state = Cancelled;
                }
            }
            Act::Return(nth) => {
                if matches!(state(self, *nth), Granting | Active) {
                    self.requests[*nth].state = Revoking;
                }
            }
            Act::Revoke(nth) => self.stop(*nth),
            Act::Stop(scope) => {
                for nth in 0..self.requests.len() {
                    if self.fits(*scope, nth) {
                        self.stop(nth);
                    }
                }
                self.holds.push(*scope);
            }
            Act::Resume => self.holds.clear(),
            Act::Settle(nth, keep) => self.settle(*nth, *keep),
        }
    }

    /// What is decided of one request holds for the same privileges of others that are over; what goes on is asked
    /// about at its own end.
    fn settle(&mut self, nth: usize, keep: bool) {
        let disputed: Vec<Key> = self.requests[nth]
            .leases
            .iter()
            .filter(|(_, lease)| matches!(lease, Lease::Disputed { .. }))
            .map(|(key, _)| key.clone())
            .collect();
        for request in &mut self.requests {
            for key in &disputed {
                match request.leases.get_mut(key) {
                    Some(lease @ Lease::Disputed { .. }) if keep => *lease = Lease::Ended,
                    Some(lease @ Lease::Disputed { .. }) => {
                        *lease = Lease::Live {
                            touched: true,
                            settled: true,
                            doubled: false,
                        };
                    }
                    Some(Lease::Live {
                        touched, doubled, ..
                    }) => {
                        *touched |= keep;
                        *doubled = keep && request.state == State::Active;
                    }
                    _ => {}
                }
            }
        }
        if keep {
            for key in disputed {
                if self.ours.remove(&key) {
                    self.standing.insert(key);
                }
            }
        }
    }

    fn stop(&mut self, nth: usize) {
        let request = &mut self.requests[nth];
        match request.state {
            State::Submitted | State::Pending | State::Approved => request.state = State::Denied,
            State::Granting | State::Active => request.state = State::Revoking,
            _ => {}
        }
    }

    fn fits(&self, scope: u8, nth: usize) -> bool {
        let request = &self.requests[nth];
        match scope {
            0 => true,
            1 => request.who == 0,
            _ => request.columns.contains(&COLUMNS[0]),
        }
    }

    fn is_held(&self, nth: usize) -> bool {
        self.holds.iter().any(|scope| self.fits(*scope, nth))
    }

    /// Whether rules and holds allow it now.
    fn may(&self, nth: usize) -> bool {
        !self.is_held(nth) && self.requests[nth].columns.iter().all(|c| self.protects(c))
    }

    fn lapse(&self, on_the_way: &mut Worlds) -> Worlds {
        let mut world = self.clone();
        for request in &mut world.requests {
            if matches!(
                request.state,
                State::Submitted | State::Pending | State::Approved
            ) && request.lapses_at <= world.now
            {
                request.state = State::Lapsed;
            }
        }
        on_the_way.insert(world.clone());
        Worlds::from([world])
    }

    /// The privileges that a request is about today, if all of them can be leased: the real answer may be either
    /// where a row's giver is uncertain.
    fn surveyed(&self, nth: usize) -> Vec<Option<Vec<Key>>> {
        let request = &self.requests[nth];
        let keys: Option<Vec<Key>> = request
            .columns
            .iter()
            .map(|column| self.key(ACCOUNTS[request.who], TABLES[0], Some(column)))
            .collect();
        let Some(keys) = keys else { return vec![None] };
        let mut either = false;
        for key in &keys {
            let may_give = !self.by_identity
                || key.column.as_ref().is_some_and(|column| {
                    self.grantable
                        .contains(&(key.table.clone(), column.clone()))
                });
            let leased = self.live_lease_on(key);
            let whole = Key {
                column: None,
                ..key.clone()
            };
            let own_row = self.standing.contains(key);
            if !may_give
                || self.standing.contains(&whole)
                || (own_row && (self.by_identity || !leased))
                || (self.ours.contains(key) && !leased && !self.by_identity)
            {
                return vec![None];
            }
            either |= own_row;
        }
        if either {
            vec![Some(keys), None]
        } else {
            vec![Some(keys)]
        }
    }

    fn arrive(&self, on_the_way: &mut Worlds) -> Worlds {
        if self.broken {
            return Worlds::from([self.clone()]);
        }
        self.each(State::Submitted, on_the_way, |world, nth| {
            let answers = if world.may(nth) {
                world.surveyed(nth)
            } else {
                vec![None]
            };
            answers
                .into_iter()
                .map(|answer| {
                    let mut world = world.clone();
                    let request = &mut world.requests[nth];
                    request.state = match answer {
                        None => State::Refused,
                        Some(keys) => {
                            request.keys = keys;
                            if request.auto {
                                State::Approved
                            } else {
                                State::Pending
                            }
                        }
                    };
                    world
                })
                .collect()
        })
    }

    fn activate(&self, on_the_way: &mut Worlds) -> Worlds {
        if self.broken {
            return Worlds::from([self.clone()]);
        }
        let intended = self.each(State::Approved, on_the_way, |world, nth| {
            let answers = if world.may(nth) {
                world.surveyed(nth)
            } else {
                vec![None]
            };
            answers
                .into_iter()
                .map(|answer| {
                    let mut world = world.clone();
                    let now = world.now;
                    let request = &mut world.requests[nth];
                    // Names that were swapped among those that were approved lead to the same columns.
                    let approved: BTreeSet<&Key> = request.keys.iter().collect();
                    if answer.is_some_and(|keys| keys.iter().collect::<BTreeSet<_>>() == approved) {
                        request.state = State::Granting;
                        request.expires_at = now + request.minutes;
                        let live = Lease::Live {
                            touched: false,
                            settled: false,
                            doubled: false,
                        };
                        request.leases = request
                            .keys
                            .iter()
                            .map(|key| (key.clone(), live.clone()))
                            .collect();
                    } else {
                        request.state = State::Failed;
                    }
                    world
                })
                .collect()
        });
        intended
            .iter()
            .flat_map(|world| world.each(State::Granting, on_the_way, World::give))
            .collect()
    }

    /// Sends the GRANT of a recorded intent: given, or, where it cannot be, on its way out.
    fn give(&self, nth: usize) -> Worlds {
        let mut world = self.clone();
        let keys = world.requests[nth].keys.clone();
        let possible = keys.iter().all(|key| {
            world.cells().iter().any(|(_, cell)| cell == key)
                && (!world.by_identity
                    || key.column.as_ref().is_some_and(|column| {
                        world
                            .grantable
                            .contains(&(key.table.clone(), column.clone()))
                    }))
        });
        if possible {
            world.ours.extend(keys);
            world.requests[nth].state = State::Active;
        } else {
            world.requests[nth].state = State::Revoking;
            world.requests[nth].fails = true;
        }
        Worlds::from([world])
    }

    /// What a crash left between intent and record.
    fn recover(&self, on_the_way: &mut Worlds) -> Worlds {
        if self.broken {
            return Worlds::from([self.clone()]);
        }
        self.each(State::Granting, on_the_way, |world, nth| {
            if world.may(nth) {
                return world.give(nth);
            }
            let mut world = world.clone();
            world.requests[nth].state = State::Revoking;
            world.requests[nth].fails = true;
            Worlds::from([world])
        })
    }

    fn each(
        &self,
        state: State,
        on_the_way: &mut Worlds,
        step: impl Fn(&Self, usize) -> Worlds,
    ) -> Worlds {
        let mut worlds = Worlds::from([self.clone()]);
        for nth in 0..self.requests.len() {
            worlds = worlds
                .iter()
                .flat_map(|world| {
                    if world.requests[nth].state == state {
                        step(world, nth)
                    } else {
                        Worlds::from([world.clone()])
                    }
                })
                .collect();
            if worlds
                .iter()
                .any(|world| world.requests[nth] != self.requests[nth])
            {
                on_the_way.extend(worlds.iter().cloned());
            }
        }
        worlds
    }

    /// Privileges of ours that no lease owns. Where rows have no giver, there are none that a model could name.
    fn strays(&self, on_the_way: &mut Worlds) -> Worlds {
        let mut world = self.clone();
        if world.by_identity && !world.broken {
            let owned: BTreeSet<Key> = world
                .ours
                .iter()
                .filter(|key| world.live_lease_on(key))
                .cloned()
                .collect();
            world.ours = owned;
        }
        on_the_way.insert(world.clone());
        Worlds::from([world])
    }
}
