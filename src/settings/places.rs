//! Where the settings are, and where state goes by default.

use std::path::{Path, PathBuf};

/// Everything from outside that says where to look. Made by [`Places::of_process`]; tests invent their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `--config`
    pub flag: Option<PathBuf>,
    /// `$JIT_CONFIG`; an empty one counts as unset.
    pub env: Option<PathBuf>,
    /// `jit` in the user's configuration directory.
    pub user_config: Option<PathBuf>,
    /// `jit` in the user's state directory.
    pub user_state: Option<PathBuf>,
    /// `/etc`
    pub etc: PathBuf,
    /// `/var/lib/jit`
    pub var_lib: PathBuf,
    /// `/var/log/jit`
    pub var_log: PathBuf,
}

/// How the settings file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    Flag,
    Variable,
    User,
    System,
}

impl FoundBy {
    pub fn words(self) -> &'static str {
        match self {
            Self::Flag => "--config",
            Self::Variable => "$JIT_CONFIG",
            Self::User => "the user's configuration directory",
            Self::System => "/etc",
        }
    }
}

/// Where a settings file keeps its state unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// A file under /etc: /var/lib/jit and /var/log/jit.
    System,
    /// A file in the user's configuration directory: the user's state directory.
    User,
    /// Any other file: `state/` beside it.
    Beside,
}

impl Home {
    pub fn words(self) -> &'static str {
        match self {
            Self::System => "default for a file under /etc",
            Self::User => "default for a user's own file",
            Self::Beside => "default: beside the file",
        }
    }
}

impl Places {
    /// Looks at the environment, and at nothing on disk.
    pub fn of_process(flag: Option<PathBuf>) -> Self {
        let user = directories::ProjectDirs::from("", "", "jit");
        Self {
            flag,
            env: std::env::var_os("JIT_CONFIG")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            user_config: user.as_ref().map(|dirs| dirs.config_dir().to_owned()),
            user_state: user
                .as_ref()
                .map(|dirs| dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned()),
            etc: "/etc".into(),
            var_lib: "/var/lib/jit".into(),
            var_log: "/var/log/jit".into(),
        }
    }

    /// All candidates in order of precedence, there or not.
    pub fn candidates(&self) -> Vec<(FoundBy, PathBuf)> {
        let user = self.user_config.as_ref().map(|dir| dir.join("config.yaml"));
        [
            (FoundBy::Flag, self.flag.clone()),
            (FoundBy::Variable, self.env.clone()),
            (FoundBy::User, user),
            (FoundBy::System, Some(self.etc.join("jit/config.yaml"))),
        ]
        .into_iter()
        .filter_map(|(by, path)| Some((by, path?)))
        .collect()
    }

    /// Where a settings file (an absolute path) keeps its state by default.
    pub fn home(&self, file: &Path) -> Home {
        if file.starts_with(&self.etc) {
            Home::System
        } else if self
            .user_config
            .as_ref()
            .is_some_and(|dir| file.starts_with(dir))
        {
            Home::User
        } else {
            Home::Beside
        }
    }

    /// Ledger, inbox and audit file of a settings file (an absolute path) that does not name them.
    pub fn state(&self, file: &Path) -> State {
        let under = |dir: &Path| State {
            ledger: dir.join("ledger/ledger.db"),
            inbox: dir.join("inbox"),
            audit: dir.join("audit.jsonl"),
        };
        match (self.home(file), &self.user_state) {
            (Home::System, _) => State {
                audit: self.var_log.join("audit.jsonl"),
                ..under(&self.var_lib)
            },
            (Home::User, Some(dir)) => under(dir),
            (Home::User | Home::Beside, _) => {
                under(&file.parent().unwrap_or(Path::new("/")).join("state"))
            }
        }
    }
}

/// Where `jit init` writes without `--dir`: /etc/jit for root, else the user's own; `None` without a home folder.
pub fn default_folder(root: bool) -> Option<PathBuf> {
    let places = Places::of_process(None);
    if root {
        Some(places.etc.join("jit"))
    } else {
        places.user_config
    }
}

/// The files and folders of one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub ledger: PathBuf,
    pub inbox: PathBuf,
    pub audit: PathBuf,
}
