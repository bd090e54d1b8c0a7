//! Who may ask for which columns, found once for everybody.

use foldhash::{HashMap, HashMapExt};

use crate::access::{TargetName, Ttl};
use crate::policy::Ruled;
use crate::policy::book::Policy;

use super::Rules;
use super::requestable::{Columns, Offering};
use super::view::{OfferView, Protected};

/// The columns of all targets that policies rule, found once for everybody who may ask for some.
pub struct Offered<'a> {
    rules: &'a Rules,
    /// Each policy once.
    policies: Vec<&'a Policy>,
    /// Each column with the place of its policy.
    targets: Vec<(&'a TargetName, Vec<(Ruled<'a, 'a>, usize)>)>,
}

/// What each policy offers to one person, and the longest of it; `None` where they may not ask at all. Whoever is
/// offered the same may ask for the same columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers(Vec<Option<(Ttl, Vec<OfferView>)>>);

impl<'a> Offered<'a> {
    pub fn among(rules: &'a Rules, known: &'a Protected) -> Self {
        let mut policies: Vec<&Policy> = Vec::new();
        let mut places: HashMap<*const Policy, usize> = HashMap::new();
        let mut targets = Vec::new();
        for target in rules.targets.keys() {
            let fold = rules.ignores_column_case(target);
            let Some(catalog) = known.get(target) else {
                continue;
            };
            let ruled = rules.book.ruled(target, fold, catalog).into_iter();
            let placed = ruled.map(|of| {
                let place = places.entry(of.policy).or_insert_with(|| {
                    policies.push(of.policy);
                    policies.len() - 1
                });
                (of, *place)
            });
            targets.push((target, placed.collect()));
        }
        Self {
            rules,
            policies,
            targets,
        }
    }

    /// Each policy makes the same offers for all of its columns.
    pub fn offers(&self, user: &str) -> Offers {
        let of = |policy: &&Policy| {
            let offers: Vec<OfferView> = policy
                .offers(self.rules.people.directory(), user)
                .into_iter()
                .map(|offer| OfferView {
                    max: offer.max,
                    purposes: offer.purposes,
                    ticket: offer.ticket,
                    approval: offer.approval,
                })
                .collect();
            Some((offers.iter().map(|offer| offer.max).max()?, offers))
        };
        Offers(self.policies.iter().map(of).collect())
    }

    /// What somebody with these offers may ask for, in the order of targets and catalogs.
    pub fn columns(&self, offers: &Offers) -> Columns {
        let mut columns = Columns::default();
        let mut known: Vec<Option<usize>> = vec![None; self.policies.len()];
        for (target, ruled) in &self.targets {
            for (of, place) in ruled {
                let (Some(Some((max, offers))), Some(known)) =
                    (offers.0.get(*place), known.get_mut(*place))
                else {
                    continue;
                };
                let offering = *known.get_or_insert_with(|| {
                    columns.offering(Offering {
                        policy: of.policy.name.clone(),
                        class: of.policy.class.clone(),
                        max: *max,
                        offers: offers.clone(),
                    })
                });
                columns.push(target, of.table, of.column, offering);
            }
        }
        columns
    }
}
