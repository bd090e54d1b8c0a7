//! The policies and settings that the project ships: they load, lint clean, pass their own tests, and fit the sample
//! databases; and the schemas beside them are those of the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jit::access::TablePattern;
use jit::engines::password::PasswordSource;
use jit::engines::{self, Address, Catalog};
use jit::policy::{Book, Expect, SourceFile};
use jit::settings::{self, Places, Settings};

use crate::support::{Server, on_mysql_and_mariadb, on_postgres, wait};

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn example() -> Settings {
    let mut places = Places::of_process(Some(project("policies/settings.example")));
    places.env = None;
    settings::load(&places).unwrap_or_else(|error| panic!("{error}"))
}

fn sources(settings: &Settings) -> Vec<SourceFile> {
    settings
        .policy_files
        .iter()
        .map(|path| SourceFile {
            name: path.display().to_string(),
            text: settings::read_policy(path).unwrap(),
        })
        .collect()
}

fn book(sources: Vec<SourceFile>) -> Book {
    Book::load(&sources).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn every_example_is_loaded_by_the_example_settings() {
    let settings = example();
    let loaded: BTreeSet<PathBuf> = settings.policy_files.iter().cloned().collect();
    let there: BTreeSet<PathBuf> = std::fs::read_dir(project("policies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    assert_eq!(loaded, there);
    assert!(settings.warnings().is_empty());
    assert!(settings.house().shared_accounts().is_empty());
}

#[test]
fn the_examples_lint_clean_and_pass_their_own_tests() {
    let settings = example();
    let book = book(sources(&settings));
    assert_eq!(book.check(&*settings.house(), &settings.target_kinds()), []);
    let results = book.run_tests(&*settings.house(), &settings.target_kinds());
    for result in &results {
        assert!(result.passed, "{result:#?}");
    }
    for policy in book.policies() {
        assert!(
            results.iter().any(|result| result.policy == policy.name),
            "{} has no test",
            policy.name
        );
        assert!(policy.description.is_some());
    }
    for expected in [Expect::Auto, Expect::Approval, Expect::Refused] {
        assert!(results.iter().any(|result| result.expected == expected));
    }
}

#[test]
fn a_test_in_an_example_that_expects_something_else_fails() {
    let settings = example();
    for (expected, wrong) in [
        ("expect: auto", "expect: approval"),
        ("expect: approval", "expect: auto"),
        ("expect: refused", "expect: auto"),
    ] {
        let mut sources = sources(&settings);
        let mut changed = 0;
        for source in &mut sources {
            let text = String::from_utf8(source.text.clone()).unwrap();
            changed += text.matches(expected).count();
            source.text = text.replace(expected, wrong).into_bytes();
        }
        let results = book(sources).run_tests(&*settings.house(), &settings.target_kinds());
        let failed = results.iter().filter(|result| !result.passed).count();
        assert_eq!(failed, changed, "{expected}");
        assert!(changed > 0);
    }
}

on_postgres!(the_shops_policies_fit_the_sample);
fn the_shops_policies_fit_the_sample(server: &Server) {
    let server = server.another(&[]);
    server.run("postgres", "CREATE DATABASE shop");
    load(&server, "shop", "shop.postgres.sql");
    let found = catalog(&server, "shop");
    fits("shop", &found, sources(&example()));
    starters("postgres").for_each(|file| fits("shop", &found, vec![file]));
}

on_mysql_and_mariadb!(billings_policies_fit_the_sample);
fn billings_policies_fit_the_sample(server: &Server) {
    let server = server.another(&[]);
    load(&server, "", "billing.mysql.sql");
    let found = catalog(&server, "billing");
    fits("billing", &found, sources(&example()));
    starters("mysql").for_each(|file| fits("billing", &found, vec![file]));
}

fn load(server: &Server, database: &str, sample: &str) {
    let text = std::fs::read_to_string(project("demo").join(sample)).unwrap();
    server.run(database, &text);
}

fn catalog(server: &Server, database: &str) -> Catalog {
    let login = server.superuser_login();
    let mut address = Address::parse(&server.url(&login.user, database)).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), &login.password).unwrap();
    address.password = PasswordSource::File(secret.path().to_owned());
    wait(async {
        let mut engine = engines::connect(&address).await.unwrap();
        engine.catalog(&[TablePattern::any()]).await.unwrap()
    })
}

/// Every column that a policy names exactly exists, and so does what is leased along.
fn fits(target: &str, catalog: &Catalog, sources: Vec<SourceFile>) {
    let settings = example();
    let book = book(sources);
    let target = target.into();
    let ignore_case = settings.target_kinds()[&target].ignore_column_case;
    let protected = book.protected(&target, ignore_case, catalog);
    assert!(!book.tables(&target).is_empty());
    let leasable = book.leasable(&target, ignore_case, catalog);
    let policies = book
        .policies()
        .iter()
        .filter(|policy| policy.target == target);
    for policy in policies {
        let ruled: Vec<_> = protected
            .iter()
            .filter(|column| column.policy == policy.name)
            .collect();
        for column in policy.columns.iter().filter_map(|glob| glob.as_exact()) {
            assert!(
                ruled.iter().any(|known| known.column.0 == column),
                "{}: no {column}",
                policy.name
            );
        }
        assert!(!ruled.is_empty(), "{} rules nothing", policy.name);
        assert_eq!(policy.target, target);
        for along in &policy.along {
            let there = leasable
                .tables
                .iter()
                .any(|(table, columns)| policy.table.matches(table) && columns.contains(along));
            assert!(there, "{}: no {along} to lease along", policy.name);
        }
    }
}

/// The policies that people can start from, for an engine.
fn starters(engine: &str) -> impl Iterator<Item = SourceFile> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(project("policies/start"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(&format!(".{engine}.yaml")))
        .collect();
    files.sort();
    files.into_iter().map(|path| SourceFile {
        name: path.display().to_string(),
        text: settings::read_policy(&path).unwrap(),
    })
}

#[test]
fn each_policy_to_start_from_stands_alone() {
    let settings = example();
    let topics = ["cards", "customers", "health", "payroll", "secrets"];
    for engine in ["postgres", "mysql"] {
        let mut seen = Vec::new();
        for file in starters(engine) {
            let name = file.name.clone();
            let text = String::from_utf8(file.text.clone()).unwrap();
            let first = text.lines().next().unwrap();
            let schema = first
                .strip_prefix("# yaml-language-server: $schema=")
                .unwrap_or_else(|| panic!("{name}: editors find no schema: {first}"));
            let beside = Path::new(&name).parent().unwrap().join(schema);
            assert!(beside.is_file(), "{name}: there is no {schema}");
            for word in ["Use it ", "Change: "] {
                assert!(text.contains(word), "{name} does not say: {word}");
            }
            assert!(
                text.lines().all(|line| line.chars().count() <= 120),
                "{name}"
            );
            let book = book(vec![file]);
            let house = settings.house();
            assert_eq!(book.check(&*house, &settings.target_kinds()), [], "{name}");
            let results = book.run_tests(&*house, &settings.target_kinds());
            assert!(
                results.iter().all(|result| result.passed),
                "{name}: {results:#?}"
            );
            for policy in book.policies() {
                let own = || results.iter().filter(|result| result.policy == policy.name);
                assert!(
                    own().any(|result| result.expected == Expect::Refused),
                    "{name}"
                );
                let gives = !policy.entries.is_empty();
                assert_eq!(
                    gives,
                    own().any(|result| result.expected != Expect::Refused),
                    "{name}"
                );
                assert!(policy.description.is_some(), "{name}");
            }
            let topic = Path::new(&name)
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            seen.push(topic.split('.').next().unwrap().to_owned());
        }
        assert_eq!(seen, topics, "{engine}");
    }
}

#[test]
fn the_schemas_for_editors_are_those_of_the_program() {
    for (name, schema) in [
        ("policies/policy.schema.json", jit::policy::schema()),
        ("policies/settings.schema.json", settings::schema()),
    ] {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = project(name);
        if std::env::var_os("WRITE_GENERATED").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == text,
            "{name} is out of date: WRITE_GENERATED=1 cargo test --test suite policies"
        );
    }
}
