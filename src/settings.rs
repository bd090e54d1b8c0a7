//! Throwaway, until the real one is merged.
use crate::access::*;
use crate::engines::{Address, Dialect, password::PasswordSource};
use crate::policy::{Directory, KnownTarget, KnownTargets};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

#[derive(serde::Deserialize)]
#[allow(dead_code)]
struct Doc {
    version: u32,
    ledger: String,
    inbox: PathBuf,
    audit: PathBuf,
    policies: Vec<PathBuf>,
    #[serde(default)]
    sweep_within: Option<Ttl>,
    #[serde(default)]
    targets: BTreeMap<TargetName, TargetDoc>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    people: BTreeMap<String, BTreeMap<TargetName, String>>,
    #[serde(default)]
    admins: Vec<String>,
}
#[derive(serde::Deserialize)]
struct TargetDoc {
    url: String,
    #[serde(default)]
    password: Option<BTreeMap<String, String>>,
    #[serde(default)]
    grantee: Option<String>,
    #[serde(default)]
    grantor: Option<String>,
}
pub struct Target {
    pub address: Address,
    grantee: String,
}
pub enum LedgerPlace {
    Sqlite(PathBuf),
}
pub struct House {
    groups: BTreeMap<String, Vec<String>>,
    people: BTreeMap<String, BTreeMap<TargetName, String>>,
    admins: Vec<String>,
    targets: BTreeMap<TargetName, String>,
}
impl Directory for House {
    fn members(&self, entry: &str) -> Vec<String> {
        match entry.strip_prefix("group:") {
            Some(g) => self.groups.get(g).cloned().unwrap_or_default(),
            None => vec![entry.to_owned()],
        }
    }
}
impl House {
    pub fn grantee(&self, target: &TargetName, user: &str) -> Result<Grantee, String> {
        if let Some(n) = self.people.get(user).and_then(|p| p.get(target)) {
            return Ok(Grantee(n.clone()));
        }
        Ok(Grantee(self.targets[target].replace("{user}", user)))
    }
    pub fn is_admin(&self, user: &str) -> bool {
        self.admins.iter().any(|a| self.covers(a, user))
    }
}
pub struct Settings {
    pub path: PathBuf,
    pub ledger: LedgerPlace,
    pub inbox: PathBuf,
    pub audit: PathBuf,
    pub policy_files: Vec<PathBuf>,
    pub sweep_within: Ttl,
    pub targets: BTreeMap<TargetName, Target>,
    house: Rc<House>,
    text: String,
}
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);
impl SettingsError {
    pub fn hints(&self) -> Vec<String> {
        vec![]
    }
}
pub struct Places(PathBuf);
impl Places {
    pub fn of_process(config: Option<PathBuf>) -> Self {
        Self(
            config
                .or_else(|| std::env::var_os("JIT_CONFIG").map(PathBuf::from))
                .unwrap_or("/etc/jit/config.yaml".into()),
        )
    }
}
pub fn load(places: &Places) -> Result<Settings, SettingsError> {
    let e = |x: String| SettingsError(x);
    let text = std::fs::read_to_string(&places.0)
        .map_err(|x| e(format!("{}: {x}", places.0.display())))?;
    let doc: Doc = serde_yaml::from_str(&text).map_err(|x| e(x.to_string()))?;
    let dir = places.0.parent().unwrap().to_owned();
    let mut policy_files = vec![];
    for p in &doc.policies {
        let p = dir.join(p);
        if p.is_dir() {
            for f in std::fs::read_dir(&p).map_err(|x| e(x.to_string()))? {
                policy_files.push(f.map_err(|x| e(x.to_string()))?.path());
            }
        } else {
            policy_files.push(p);
        }
    }
    policy_files.sort();
    let mut targets = BTreeMap::new();
    for (n, t) in doc.targets {
        let mut address = Address::parse(&t.url).map_err(e)?;
        if let Some(p) = t.password.and_then(|p| p.get("file").cloned()) {
            address.password = PasswordSource::File(p.into());
        }
        if let Some(g) = t.grantor {
            address.grantor = g;
        }
        let grantee = t.grantee.unwrap_or(
            if address.dialect == Dialect::Mysql {
                "{user}@%"
            } else {
                "{user}"
            }
            .into(),
        );
        targets.insert(n, Target { address, grantee });
    }
    let house = Rc::new(House {
        groups: doc.groups,
        people: doc.people,
        admins: doc.admins,
        targets: targets
            .iter()
            .map(|(n, t)| (n.clone(), t.grantee.clone()))
            .collect(),
    });
    Ok(Settings {
        path: places.0.clone(),
        ledger: LedgerPlace::Sqlite(doc.ledger.trim_start_matches("sqlite:").into()),
        inbox: doc.inbox,
        audit: doc.audit,
        policy_files,
        sweep_within: doc.sweep_within.unwrap_or(Ttl::from_secs(300)),
        targets,
        house,
        text,
    })
}
#[derive(serde::Serialize)]
pub struct Value {
    pub key: String,
    pub value: String,
    pub origin: String,
}
impl Settings {
    pub fn warnings(&self) -> Vec<String> {
        vec![]
    }
    pub fn values(&self) -> Vec<Value> {
        vec![]
    }
    pub fn house(&self) -> Rc<House> {
        self.house.clone()
    }
    pub fn text_and_hash(&self) -> (String, String) {
        (hash(&self.text), self.text.clone())
    }
    pub fn target_kinds(&self) -> KnownTargets {
        self.targets
            .iter()
            .map(|(n, t)| {
                (
                    n.clone(),
                    KnownTarget {
                        ignore_column_case: t.address.dialect == Dialect::Mysql,
                    },
                )
            })
            .collect()
    }
}
fn hash(t: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(t.as_bytes()))
}
pub fn hash_of(texts: &[(String, String)]) -> String {
    hash(
        &texts
            .iter()
            .map(|t| t.0.clone())
            .collect::<Vec<_>>()
            .join(","),
    )
}
pub struct Untrusted {
    pub path: PathBuf,
    pub why: String,
    pub cure: String,
}
pub fn untrusted(_: &Settings, _: &[u32]) -> Vec<Untrusted> {
    vec![]
}
pub fn read_policy(p: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(p)
}
pub fn default_folder(_root: bool) -> Option<PathBuf> {
    None
}
