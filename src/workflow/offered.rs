//! Who may ask for which columns, found once for everybody.

use foldhash::{HashMap, HashMapExt};

use crate::access::{ColumnName, TableName, TargetName};
use crate::policy::book::Policy;
use crate::policy::{Gate, Offer};

use super::Rules;
use super::requestable::{Collect, Offering};
use super::view::Protected;

/// The columns of all targets that policies rule, found once for everybody who may ask for some.
pub struct Offered<'a> {
    rules: &'a Rules,
    gates: Vec<Gate<'a>>,
    /// Each policy once, with the places of its entries' gates.
    policies: Vec<(&'a Policy, Vec<usize>)>,
    targets: Vec<Seen<'a>>,
}

/// The columns of one target.
struct Seen<'a> {
    target: &'a TargetName,
    catalog: &'a [(TableName, Vec<ColumnName>)],
    /// Of each column, in its order, the place of its policy, or [`NOBODY`].
    ruled: Vec<u32>,
}

/// No policy rules the column.
const NOBODY: u32 = u32::MAX;

/// Which gates are open to one person. Those to whom the same ones are open may ask for the same columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers(Vec<bool>);

impl<'a> Offered<'a> {
    pub fn among(rules: &'a Rules, known: &'a Protected) -> Self {
        let mut gates: Vec<Gate<'a>> = Vec::new();
        let mut gates_at: HashMap<Gate<'a>, usize> = HashMap::new();
        let mut policies: Vec<(&Policy, Vec<usize>)> = Vec::new();
        let mut policies_at: HashMap<*const Policy, usize> = HashMap::new();
        let mut targets = Vec::new();
        for target in rules.targets.keys() {
            let fold = rules.ignores_column_case(target);
            let Some(catalog) = known.get(target) else {
                continue;
            };
            let mut of_next = rules.book.ruled(target, fold, catalog).peekable();
            let columns = catalog.iter().map(|(_, columns)| columns.len());
            let mut ruled = Vec::with_capacity(columns.sum());
            for column in catalog.iter().flat_map(|(_, columns)| columns) {
                let Some(of) = of_next.next_if(|of| std::ptr::eq(of.column, column)) else {
                    ruled.push(NOBODY);
                    continue;
                };
                let place = *policies_at.entry(of.policy).or_insert_with(|| {
                    let entries = of.policy.entries.iter().map(|entry| {
                        *gates_at.entry(entry.gate()).or_insert_with(|| {
                            gates.push(entry.gate());
                            gates.len() - 1
                        })
                    });
                    policies.push((of.policy, entries.collect()));
                    policies.len() - 1
                });
                ruled.push(u32::try_from(place).unwrap_or(NOBODY));
            }
            targets.push(Seen {
                target,
                catalog,
                ruled,
            });
        }
        Self {
            rules,
            gates,
            policies,
            targets,
        }
    }

    pub fn offers(&self, user: &str) -> Offers {
        let people = self.rules.people.directory();
        let open = self.gates.iter().map(|gate| gate.opens(people, user));
        Offers(open.collect())
    }

    /// What somebody with these offers may ask for, in the order of targets and catalogs.
    pub fn columns(&self, offers: &Offers, into: &mut impl Collect) {
        // Each policy makes the same offers for all of its columns.
        let mut made: Vec<Option<Option<usize>>> = vec![None; self.policies.len()];
        for seen in &self.targets {
            let names = (seen.catalog.iter())
                .flat_map(|(table, columns)| columns.iter().map(move |column| (table, column)));
            for ((table, column), policy) in names.zip(&seen.ruled) {
                let policy = *policy as usize;
                let Some(made) = made.get_mut(policy) else {
                    continue; // nobody's
                };
                let place = *made.get_or_insert_with(|| {
                    let of = self.offering(policy, offers)?;
                    Some(into.offering(of))
                });
                if let Some(place) = place {
                    into.push(seen.target, table, column, place);
                }
            }
        }
    }

    /// `None` where no entry of the policy is open.
    fn offering(&self, place: usize, Offers(open): &Offers) -> Option<Offering> {
        let (policy, gates) = &self.policies[place];
        let offers: Vec<Offer> = (policy.entries.iter().zip(gates))
            .filter(|(_, gate)| open.get(**gate) == Some(&true))
            .map(|(entry, _)| entry.offer())
            .collect();
        Some(Offering {
            policy: policy.name.clone(),
            class: policy.class.clone(),
            max: offers.iter().map(|offer| offer.max).max()?,
            offers,
        })
    }
}
