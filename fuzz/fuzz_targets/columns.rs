#![no_main]

#[allow(dead_code)]
#[path = "../../tests/suite/bad_input/takes.rs"]
mod takes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    takes::columns(bytes);
});
