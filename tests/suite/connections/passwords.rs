//! Where a password comes from, by the program itself, with the modes and orders that clients have.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::support::jit::{Install, Output, run};
use crate::support::people::Person;
use crate::support::{on_every_server, on_mysql_and_mariadb, on_postgres};

on_every_server!(each_source_gives_the_password_and_is_named);
on_postgres!(
    postgres_looks_where_libpq_looks_in_its_order,
    a_service_gives_what_the_url_leaves_out,
);
on_mysql_and_mariadb!(mysql_looks_in_the_client_group);

/// The answer of a server that does not know the password; whatever else `doctor` finds is of no concern here.
const REFUSED: [&str; 3] = ["(28P01)", "(1045)", "no password"];

struct Site {
    jit: Install,
    me: Person,
}

impl Site {
    /// One target by that URL; `password` is the rest of its settings.
    fn new(url: &str, password: &str) -> Self {
        let jit = Install::new().settings(&format!(
            "targets:\n  shop:\n    url: '{url}'\n    {password}\n"
        ));
        let me = Person::myself();
        let site = Self { jit, me };
        site.run(&["ledger", "init"], &[]).ok();
        site
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = self.jit.command(&self.me, arguments);
        command.envs(environment.iter().copied());
        run(&mut command, "")
    }

    /// What doctor says of the target.
    fn doctor(&self, environment: &[(&str, &str)]) -> String {
        let output = self.run(&["doctor", "-o", "json"], environment);
        output.json()["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .filter(|check| check["what"] == "shop")
            .map(|check| check["saw"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[track_caller]
    fn gets_in(&self, environment: &[(&str, &str)]) {
        let saw = self.doctor(environment);
        assert!(!REFUSED.iter().any(|code| saw.contains(code)), "{saw}");
        assert!(saw.contains("at 127.0.0.1"), "{saw}");
    }

    #[track_caller]
    fn does_not(&self, environment: &[(&str, &str)], words: &str) {
        let saw = self.doctor(environment);
        assert!(saw.contains(words), "{words:?} is not in {saw}");
        assert!(!saw.contains("sesame"), "{saw}");
    }

    /// Where the settings say that the password comes from.
    #[track_caller]
    fn comes_from(&self, environment: &[(&str, &str)], words: &str) {
        let output = self
            .run(&["settings", "--origin", "-o", "json"], environment)
            .ok();
        assert!(!output.out.contains("sesame"), "{output}");
        let shown = output.json();
        let value = shown
            .as_array()
            .expect("settings")
            .iter()
            .find(|setting| setting["key"] == "targets.shop.password")
            .expect("the password's place")["value"]
            .to_string();
        assert!(value.contains(words), "{words:?} is not in {value}");
    }

    fn home(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.jit.path("home").join(&self.me.name).join(name);
        written(&path, text, mode);
        path.display().to_string()
    }
}

fn written(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("own folder");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own file");
}

fn target(server: &Server) -> (Login, String) {
    let login = account(server, "jit");
    let url = url(server, &login, "127.0.0.1", "");
    (login, url)
}

fn each_source_gives_the_password_and_is_named(server: &Server) {
    let (login, url) = target(server);
    let secret = login.password.as_str();

    let site = Site::new(&url, "password: {file: '{dir}/secrets/shop'}");
    let file = site.jit.path("secrets/shop");
    written(&file, &format!("{secret}\nrest\n"), 0o600);
    site.gets_in(&[]);
    site.comes_from(&[], "secrets/shop");
    written(&file, secret, 0o604);
    site.does_not(&[], "chmod 600");
    written(&file, "no-sesame", 0o600);
    let saw = site.doctor(&[]);
    assert!(REFUSED.iter().any(|code| saw.contains(code)), "{saw}");
    written(&file, "\n", 0o600);
    site.does_not(&[], "is empty");

    let site = Site::new(&url, "password: {env: SHOP_SESAME}");
    site.gets_in(&[("SHOP_SESAME", secret)]);
    site.comes_from(&[("SHOP_SESAME", secret)], "variable SHOP_SESAME");
    site.does_not(&[], "SHOP_SESAME is not set");

    let site = Site::new(&url, "password: {credential: shop}");
    let folder = site.jit.path("secrets");
    written(&folder.join("shop"), secret, 0o440);
    let folder = folder.display().to_string();
    site.gets_in(&[("CREDENTIALS_DIRECTORY", &folder)]);
    site.comes_from(&[], "credential shop");
    site.does_not(&[], "CREDENTIALS_DIRECTORY");

    // A token that is told for whom it is, and is made anew each time.
    let site = Site::new(&url, "password: {command: [sh, '{dir}/secrets/token', x]}");
    let (token, count) = (
        site.jit.path("secrets/token"),
        site.jit.path("secrets/count"),
    );
    let script = format!(
        "echo made >> {}\n[ \"$JIT_HOST:$JIT_PORT $JIT_USER\" = '127.0.0.1:{} {}' ] || exit 4\necho {secret}\n",
        count.display(),
        server.port(),
        login.user
    );
    written(&token, &script, 0o600);
    site.gets_in(&[]);
    let once = std::fs::read_to_string(&count).expect("it ran").len();
    site.gets_in(&[]);
    assert!(std::fs::read_to_string(&count).expect("it ran").len() >= 2 * once);
    site.comes_from(&[], "command sh");
    written(&token, "echo sesame-told >&2; exit 3", 0o600);
    site.does_not(&[], "exit status: 3");
}

fn postgres_looks_where_libpq_looks_in_its_order(server: &Server) {
    let (login, url) = target(server);
    let secret = login.password.as_str();
    let site = Site::new(&url, "grantee: '{user}'");
    site.comes_from(&[], "none: not in PGPASSWORD");
    site.does_not(&[], "no password");
    let line = |secret: &str| {
        format!(
            "# mine\nelse:*:*:*:no-sesame\n127.0.0.1:*:*:{}:{secret}\n",
            login.user
        )
    };

    let path = site.home(".pgpass", &line(secret), 0o600);
    site.gets_in(&[]);
    site.comes_from(&[], &format!("line 3 of {path}"));
    site.home(".pgpass", &line(secret), 0o640);
    // Root may share with a group of operators what libpq would not.
    let readable = rustix::process::geteuid().is_root();
    match readable {
        true => site.gets_in(&[]),
        false => site.does_not(&[], "chmod 600"),
    }
    site.home(".pgpass", &line(secret), 0o644);
    site.does_not(&[], "chmod 600");

    let other = site.jit.path("secrets/pgpass");
    written(&other, &line(secret), 0o600);
    let other = other.display().to_string();
    site.gets_in(&[("PGPASSFILE", &other)]);
    site.comes_from(&[("PGPASSFILE", &other)], &other);
    site.gets_in(&[("PGPASSWORD", secret), ("PGPASSFILE", "/nowhere")]);
    // The variable stands before the file.
    let both = [("PGPASSWORD", "no-sesame"), ("PGPASSFILE", other.as_str())];
    site.does_not(&both, "28P01");
    site.comes_from(&both, "variable PGPASSWORD");
}

fn a_service_gives_what_the_url_leaves_out(server: &Server) {
    let login = account(server, "jit");
    let text = |host: &str, password: &str| {
        format!(
            "[other]\nhost=nowhere\n[shop]\nhost={host}\nport={}\ndbname=postgres\nuser={}\n{password}\n",
            server.port(),
            login.user
        )
    };
    let secret = format!("password={}", login.password);
    let site = Site::new("postgres:///?service=shop", "grantee: '{user}'");
    site.does_not(&[], "there is no service shop");
    // Settings can be read by whoever has no such file.
    site.comes_from(&[], "service was not found");

    let path = site.home(".pg_service.conf", &text("127.0.0.1", &secret), 0o600);
    site.gets_in(&[]);
    site.comes_from(&[], "service shop");
    // What the service says of the password stands before the environment, as in libpq.
    site.gets_in(&[("PGPASSWORD", "no-sesame")]);
    site.home(".pg_service.conf", &text("127.0.0.1", &secret), 0o644);
    site.does_not(&[], "chmod 600");
    site.home(".pg_service.conf", &text("127.0.0.1", ""), 0o644);
    site.gets_in(&[("PGPASSWORD", login.password.as_str())]);
    // Whoever could write it would decide who gets the password.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("own file");
    site.does_not(&[("PGPASSWORD", login.password.as_str())], "chmod go-w");

    let elsewhere = site.jit.path("secrets/services");
    written(&elsewhere, &text("127.0.0.1", &secret), 0o600);
    let elsewhere = elsewhere.display().to_string();
    site.gets_in(&[("PGSERVICEFILE", &elsewhere)]);
    // The URL stands before the service.
    let here = url(server, &login, "127.0.0.1", "service=shop");
    let site = Site::new(&here, "grantee: '{user}'");
    site.home(".pg_service.conf", &text("nowhere.invalid", &secret), 0o600);
    site.gets_in(&[]);
}

fn mysql_looks_in_the_client_group(server: &Server) {
    let (login, url) = target(server);
    let site = Site::new(&url, "grantee: '{user}'");
    let text = |user: &str| {
        format!(
            "[mysqld]\npassword=no-sesame\n[client]\n{user}\npassword = \"{}\" # mine\n",
            login.password
        )
    };
    site.comes_from(&[], ".my.cnf");
    site.does_not(&[("MYSQL_PWD", &login.password)], "{env: MYSQL_PWD}");
    let path = site.home(".my.cnf", &text(""), 0o600);
    site.gets_in(&[]);
    site.comes_from(&[], &format!("[client] of {path}"));
    site.home(".my.cnf", &text(""), 0o604);
    site.does_not(&[], "chmod 600");
    // The URL's user stands before the file's.
    site.home(".my.cnf", &text("user=nobody"), 0o600);
    site.gets_in(&[]);
    let without = url.replace(&format!("{}@", login.user), "");
    let site = Site::new(&without, "grantee: '{user}'");
    site.does_not(&[], "names no user");
    site.home(".my.cnf", &text(&format!("user = {}", login.user)), 0o600);
    site.gets_in(&[]);
}
