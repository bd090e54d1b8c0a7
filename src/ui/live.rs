//! One line that says how something stands: written over again on a terminal, and a plain line a change elsewhere.

use std::io::{self, IsTerminal, Write};

use super::{cut, escape, note, prompt, width};

pub struct Live {
    over: bool,
    told: Option<String>,
    is_open: bool,
}

impl Live {
    /// A line on standard error.
    pub fn new() -> Self {
        Self {
            over: io::stderr().is_terminal() && !prompt::is_dumb(),
            told: None,
            is_open: false,
        }
    }

    /// Says how it stands. `ticking` is what changes by itself, such as the time left: it is shown only where the
    /// line is written over.
    ///
    /// # Errors
    /// Those of writing to standard error.
    pub fn show(&mut self, stands: &str, ticking: &str) -> io::Result<()> {
        let stands = escape(stands);
        if self.over {
            // The time left always shows; of the rest, what fits beside it.
            let ticking = escape(ticking);
            let room = usize::from(width())
                .saturating_sub(ticking.chars().count() + 3)
                .max(10);
            let line = format!("\r\x1b[K{}  {ticking}", cut(&stands, room));
            let mut stderr = io::stderr().lock();
            stderr.write_all(line.as_bytes())?;
            self.is_open = true;
            return stderr.flush();
        }
        if self.told.as_ref() != Some(&stands) {
            note(&super::paragraph(&stands, 0))?;
            self.told = Some(stands);
        }
        Ok(())
    }

    /// Takes the line away, so that what follows stands in its place.
    ///
    /// # Errors
    /// Those of writing to standard error.
    pub fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_open) {
            let mut stderr = io::stderr().lock();
            stderr.write_all(b"\r\x1b[K")?;
            stderr.flush()?;
        }
        Ok(())
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}
