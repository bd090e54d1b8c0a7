//! One installation of `jit` with several targets, each a [`Shop`]'s database on a server of any kind.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::jit::{Install, Output, run};
use super::people::{Person, cron, root};
use super::server::{Kind, SUPERUSER_PASSWORD, Server};
use super::shop::{PASSWORD, POLICY, Shop};

/// An installation, and the databases that its targets are. A shop's own installation lies idle.
pub struct Host<'s> {
    pub jit: Install,
    pub targets: Vec<(String, Shop<'s>)>,
}

impl<'s> Host<'s> {
    /// Targets with these names, all set up, and swept once.
    pub fn new(servers: &[(&str, &'s Server)]) -> Self {
        let targets: Vec<(String, Shop<'s>)> = servers
            .iter()
            .map(|(name, server)| ((*name).to_owned(), Shop::bare(server, POLICY)))
            .collect();
        let mut jit = Install::new().secret("shop", PASSWORD);
        for (name, shop) in &targets {
            let policy = POLICY
                .replace("{schema}", &shop.schema())
                .replace("target: shop", &format!("target: {name}"))
                .replace("name: contact", &format!("name: contact-{name}"))
                .replace("name: secrets", &format!("name: secrets-{name}"));
            jit = jit.policy(&format!("{name}.yaml"), &policy);
        }
        let host = Self { jit, targets };
        host.configure(&host.blocks());
        host.jit.init();
        for (name, _) in &host.targets {
            host.set_up(name);
        }
        for person in host.targets[0].1.people() {
            host.jit(&person, &["list"]).ok();
        }
        host.sweep().ok();
        host
    }

    pub fn at(&self, name: &str) -> &Shop<'s> {
        let found = self.targets.iter().find(|(own, _)| own == name);
        &found.unwrap_or_else(|| panic!("no target {name}")).1
    }

    /// The `targets:` block of each target.
    pub fn blocks(&self) -> Vec<String> {
        self.targets
            .iter()
            .map(|(name, shop)| block(name, shop))
            .collect()
    }

    /// Writes the settings with these targets.
    pub fn configure(&self, blocks: &[String]) {
        let dir = self.jit.path("").display().to_string();
        let dir = dir.trim_end_matches('/');
        let text = format!(
            "version: 1\nledger: sqlite:{dir}/var/lib/jit/ledger/ledger.db\ninbox: {dir}/var/lib/jit/inbox\n\
             audit: {dir}/var/log/jit/audit.jsonl\npolicies: [policies/]\ntargets:\n{}\
             groups:\n  dba: [jitcarol, jitdave]\nadmins: [group:dba]\n",
            blocks.concat().replace("{dir}", dir)
        );
        std::fs::write(self.jit.path("etc/config.yaml"), text).expect("root may");
    }

    /// Writes a target's policies, or takes them away.
    pub fn without_policies_of(&self, name: &str) {
        std::fs::remove_file(self.jit.path(format!("etc/policies/{name}.yaml"))).expect("it");
    }

    pub fn set_up(&self, name: &str) {
        let shop = self.at(name);
        let url = shop.server.url(shop.server.superuser(), &shop.database);
        let arguments = ["setup", name, "--apply", "--as-url", &url];
        let mut command = self.jit.command(&root(), &arguments);
        command.env("PGPASSWORD", SUPERUSER_PASSWORD);
        self.jit.root_options(SUPERUSER_PASSWORD);
        run(&mut command, "").ok();
    }

    pub fn jit(&self, person: &Person, arguments: &[&str]) -> Output {
        self.jit.run(person, arguments)
    }

    pub fn sweep(&self) -> Output {
        self.jit(&cron(), &["sweep"])
    }

    pub fn sweep_command(&self) -> Command {
        self.jit.command(&cron(), &["sweep"])
    }

    /// Hands in a request that the policy approves; its id.
    #[track_caller]
    pub fn ask(&self, person: &Person, target: &str, columns: &str, ttl: &str) -> String {
        let columns = format!("{}:{columns}", self.at(target).table("customers"));
        let arguments = [
            "request",
            target,
            &columns,
            "--for",
            ttl,
            "--reason",
            "a test",
            "--purpose",
            "support",
        ];
        let output = self.jit(person, &arguments).ok();
        output.out.lines().next().expect("an id").to_owned()
    }

    /// A request that has been granted.
    #[track_caller]
    pub fn lease(&self, person: &Person, target: &str, columns: &str, ttl: &str) -> String {
        let id = self.ask(person, target, columns, ttl);
        self.sweep().ok();
        assert_eq!(self.state(&id), "active");
        id
    }

    #[track_caller]
    pub fn show(&self, id: &str) -> Value {
        self.jit(&cron(), &["show", id, "-o", "json"]).ok().json()
    }

    #[track_caller]
    pub fn state(&self, id: &str) -> String {
        self.show(id)["state"].as_str().expect("a state").to_owned()
    }

    pub fn reads(&self, target: &str, name: &str, column: &str) -> bool {
        self.at(target).reads(name, column)
    }

    /// Sweeps until the request is in this state.
    #[track_caller]
    pub fn sweep_until(&self, id: &str, state: &str) {
        let started = Instant::now();
        loop {
            let output = self.sweep();
            if self.state(id) == state {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{id} does not become {state}: {output}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The audit trail must be whole, with every line once.
    #[track_caller]
    pub fn audit_is_sound(&self) {
        self.jit(&cron(), &["audit", "verify"]).ok();
        let numbers: Vec<u64> = self
            .jit
            .events()
            .iter()
            .map(|event| event["seq"].as_u64().expect("a number"))
            .collect();
        let wanted: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, wanted, "no line is lost or doubled");
    }
}

/// A target's lines under `targets:`.
pub fn block(name: &str, shop: &Shop<'_>) -> String {
    let (host, grantor) = match shop.server.kind() {
        Kind::Postgres => ("", format!("    grantor: jit_grantor_{}\n", shop.suffix)),
        Kind::Mysql | Kind::Mariadb => ("@%", String::new()),
    };
    format!(
        "  {name}:\n    url: {url}\n    password: {{file: '{{dir}}/secrets/shop'}}\n    \
         grantee: '{{user}}_{suffix}{host}'\n{grantor}",
        url = shop.server.url(&shop.login("jitadmin"), &shop.database),
        suffix = shop.suffix,
    )
}
