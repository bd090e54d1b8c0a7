//! Random sequences of everything that a person, a DBA and a crash can do, on real servers, compared after each step
//! with a small model of who may read what. A failing sequence is shrunk; the shortest ones are kept in `cases/`.
//!
//! `make test` plays the kept cases and a few random sequences; `make torture SEED=… MINUTES=…` goes on for as long
//! as it is told. `JIT_TORTURE_STEPS='[…]'`, as a failure prints them, plays just these.

mod play;
mod points;
mod step;
mod sweep;
mod world;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::on_every_server;
use crate::support::server::Server;
use crate::support::torture;

use play::{FIGURES, play};
use step::{Step, sequence};

on_every_server!(
    what_can_be_read_is_what_the_model_says,
    sequences_that_once_broke_a_law_break_none,
);

/// Steps of a random sequence.
const LONGEST: usize = 40;
/// No failing sequence is made shorter for longer than this.
const SHRINKING: Duration = Duration::from_secs(120);

fn what_can_be_read_is_what_the_model_says(server: &Server) {
    // One of its own: it is killed.
    let server = server.another(&[]);
    if let Some(steps) = told() {
        attempt(&server, &steps).unwrap_or_else(|why| panic!("{why}"));
        return;
    }
    let begun = Instant::now();
    for chance in torture::rounds(1) {
        random(&server, torture::seed() + chance.round);
    }
    eprintln!(
        "{server:?}: from seed {}, {:.0} s; so far {} sequences, {} steps, {} sweeps, {} kills of jit, {} of a server",
        torture::seed(),
        begun.elapsed().as_secs_f64(),
        FIGURES.sequences,
        FIGURES.steps,
        FIGURES.sweeps,
        FIGURES.kills,
        FIGURES.deaths,
    );
}

/// The kept ones, each shrunk by hand or by the model, with what it broke for a name.
fn sequences_that_once_broke_a_law_break_none(server: &Server) {
    let server = server.another(&[]);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/model/cases");
    let mut played = 0;
    for case in fs::read_dir(cases).expect("a folder") {
        let case = case.expect("a file").path();
        let text = fs::read_to_string(&case).expect("text");
        let steps: Vec<Step> = serde_json::from_str(&text).expect("steps");
        attempt(&server, &steps).unwrap_or_else(|why| panic!("{}: {why}", case.display()));
        played += 1;
    }
    assert!(played > 0, "no case was found");
}

/// Steps that somebody wants to see again.
fn told() -> Option<Vec<Step>> {
    let text = std::env::var("JIT_TORTURE_STEPS").ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|why| panic!("JIT_TORTURE_STEPS: {why}")))
}

/// One random sequence; where it breaks a law, the shortest that still does.
fn random(server: &Server, seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let steps = sequence(LONGEST)
        .new_tree(&mut runner)
        .expect("a sequence")
        .current();
    let Err(mut why) = attempt(server, &steps) else {
        return;
    };
    let begun = Instant::now();
    let mut shortest = steps.clone();
    // Steps are taken out by halves, quarters and so on: what fails again is kept.
    let mut chunk = steps.len() / 2;
    while chunk > 0 && begun.elapsed() < SHRINKING {
        let mut at = 0;
        while at < shortest.len() && begun.elapsed() < SHRINKING {
            let mut fewer = shortest.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            match attempt(server, &fewer) {
                Err(said) => (shortest, why) = (fewer, said),
                Ok(()) => at += chunk,
            }
        }
        chunk /= 2;
    }
    panic!(
        "seed {seed}, {} steps, shrunk to {}:\n{}\n{why}",
        steps.len(),
        shortest.len(),
        serde_json::to_string(&shortest).expect("plain data")
    );
}

/// Plays a sequence; a panic of the tests' own is a failure like any other.
fn attempt(server: &Server, steps: &[Step]) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(server, steps))).unwrap_or_else(
        |panic| {
            Err(panic
                .downcast_ref::<String>()
                .cloned()
                .unwrap_or_else(|| "a panic".to_owned()))
        },
    )
}
