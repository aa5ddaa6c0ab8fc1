//! Panics of the server under test. The server catches a panic and answers 500, which a test could overlook. So
//! each panic is recorded, and the test that owns the server fails.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, Once};

/// The panics so far, of all tests of this process, which share one server library.
static NOTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Begins to note panics of this process that no test has caused itself.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_an_assertion(info) {
                note(info.to_string());
            }
            before(info);
        }));
    });
}

/// Records a line of a started program's standard error that reports a panic.
pub(crate) fn watch_line(line: &str) {
    if line.contains("panicked at") {
        note(line.to_owned());
    }
}

/// Fails if the server has panicked.
pub(crate) fn assert_none() {
    let noted = NOTED.lock().expect("a whole list").clone();
    assert!(noted.is_empty(), "the server panicked: {noted:#?}");
}

fn note(panic: String) {
    NOTED.lock().expect("a whole list").push(panic);
}

/// A test that fails panics too, in a file of the tests.
fn is_an_assertion(info: &PanicHookInfo<'_>) -> bool {
    info.location()
        .is_some_and(|location| location.file().starts_with("server/tests/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_a_panic_is_noted_and_another_is_not() {
        watch_line("thread 'of this test' panicked at server/src/lib.rs:1:1:");
        watch_line("a line about nothing");
        let mut noted = NOTED.lock().expect("a whole list");
        let at = noted.iter().position(|line| line.contains("of this test"));
        noted.remove(at.expect("it was noted"));
        assert!(!noted.iter().any(|line| line.contains("about nothing")));
    }
}
