//! The tests' own people and installations: that they are who they are said to be.

use std::path::Path;

use crate::support::jit::{Install, run};
use crate::support::people::{OPERATORS, Person, alice, bob, carol, cron, dave, mallory};

fn answer(person: &Person, program: &str, arguments: &[&str]) -> String {
    let output = run(person.command(program).args(arguments), "").ok();
    output.out.trim().to_owned()
}

#[test]
fn a_person_runs_under_their_own_uid_with_their_own_groups() {
    for person in [alice(), bob(), carol(), dave(), mallory(), cron()] {
        assert_eq!(answer(&person, "id", &["-un"]), person.name);
        assert_eq!(answer(&person, "id", &["-ur"]), person.uid.to_string());
        assert_eq!(answer(&person, "id", &["-g"]), person.gid.to_string());
        let groups = answer(&person, "id", &["-Gn"]);
        let operator = groups.split(' ').any(|group| group == OPERATORS);
        let wanted = ["jitcron", "jitcarol"].contains(&person.name.as_str());
        assert_eq!(operator, wanted, "{}: {groups}", person.name);
        assert!(!groups.split(' ').any(|group| group == "root"), "{groups}");
    }
}

#[test]
fn a_person_inherits_nothing_of_our_environment() {
    let environment = answer(&alice(), "env", &[]);
    let names: Vec<&str> = environment
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    assert_eq!(names, ["LOGNAME", "PATH", "USER"]);
}

#[test]
fn an_installation_can_be_read_by_all_and_its_secrets_by_operators() {
    let jit = Install::new().secret("shop", "sesame");
    let read =
        |person: &Person, inner: &str| run(person.command("cat").arg(jit.path(inner)), "").code;
    assert_eq!(read(&alice(), "etc/config.yaml"), 0);
    assert_eq!(read(&alice(), "secrets/shop"), 1);
    assert_eq!(read(&cron(), "secrets/shop"), 0);
    let touched = run(
        alice()
            .command("touch")
            .arg(jit.path("etc/policies/own.yaml")),
        "",
    );
    assert_eq!(touched.code, 1);
}

#[test]
fn the_program_can_be_run_by_everybody() {
    let jit = Install::new();
    let program = run(&mut jit.command(&alice(), &["--version"]), "");
    assert!(program.code <= 2, "{program}");
    assert!(Path::new(crate::support::jit::program()).exists());
}
