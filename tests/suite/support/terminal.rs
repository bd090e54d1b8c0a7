//! A program in a pseudo-terminal of 80 columns and 24 rows, with somebody who reads its screen and types.
//!
//! It runs under a shell that afterwards says how it ended and in which state it left the terminal.

use std::process::Command;
use std::time::{Duration, Instant};

use expectrl::Session;
use expectrl::session::OsSession;

/// Nothing is waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The screen is looked at in this width, so that a line that is too long for the terminal shows.
const WIDE: u16 = 300;

/// Once the terminal has its size, runs the program, then tells its exit code and the terminal's modes.
const KEEPER: &str =
    r#"trap : INT; read -r go; stty echo; "$@"; echo "ended with $?"; stty -a; echo modes told"#;

pub struct Terminal {
    session: OsSession,
    bytes: Vec<u8>,
    columns: u16,
    rows: u16,
}

/// How a program left its terminal.
pub struct Ended {
    pub code: i32,
    /// Everything that was written.
    pub bytes: Vec<u8>,
    /// What can be read of it.
    pub screen: String,
    modes: String,
}

fn parser(rows: u16, columns: u16) -> vt100::Parser {
    let size = |number| std::num::NonZero::new(number).expect("a size");
    vt100::Parser::new(size(rows), size(columns), 0)
}

impl Terminal {
    pub fn open(command: &Command) -> Self {
        Self::sized(command, 80, 24)
    }

    pub fn sized(command: &Command, columns: u16, rows: u16) -> Self {
        // Who runs the tests behind `&` has them ignore Ctrl-C; somebody at a terminal does not.
        let mut keeper = Command::new("env");
        keeper
            .args(["--default-signal=INT,QUIT", "sh", "-c", KEEPER, "keeper"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("TERM", "xterm-256color")
            .current_dir("/");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                keeper.env(name, value);
            }
        }
        let mut session = Session::spawn(keeper).expect("a pseudo-terminal");
        let process = session.get_process_mut();
        process.set_window_size(columns, rows).expect("a terminal");
        let mut terminal = Self {
            session,
            bytes: Vec::new(),
            columns,
            rows,
        };
        terminal.keys("\n");
        terminal
    }

    /// Reads what there is; whether the program may still write.
    fn read(&mut self) -> bool {
        let mut buffer = [0_u8; 4096];
        loop {
            match self.session.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(number) => self.bytes.extend(&buffer[..number]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                // the other end is closed
                Err(_) => return false,
            }
        }
    }

    /// Types keys as they are.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        use std::io::Write;
        self.session.write_all(keys.as_bytes()).expect("a terminal");
        self.session.flush().expect("a terminal");
        self
    }

    /// Waits until this stands on the screen.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        let begun = Instant::now();
        loop {
            let goes_on = self.read();
            if self.screen().contains(text) {
                return self;
            }
            assert!(
                goes_on && begun.elapsed() < PATIENCE,
                "{text:?} does not show on\n{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The screen with what has scrolled out of it.
    pub fn screen(&self) -> String {
        let mut parser = parser(2000, WIDE);
        parser.process(&self.bytes);
        let text: Vec<String> = parser
            .screen()
            .rows(0, WIDE)
            .map(|row| row.trim_end().to_owned())
            .collect();
        text.join("\n").trim_end().to_owned()
    }

    /// What is on the screen now.
    pub fn visible(&self) -> String {
        let mut parser = parser(self.rows, self.columns);
        parser.process(&self.bytes);
        parser.screen().contents()
    }

    /// Waits until the program has ended.
    #[track_caller]
    pub fn ends(mut self) -> Ended {
        self.sees("modes told");
        while self.read() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let screen = self.screen();
        let (before, after) = screen.split_once("ended with ").expect("it was seen");
        let (code, modes) = after.split_once('\n').unwrap_or((after, ""));
        let ended = Ended {
            code: code.trim().parse().expect("an exit code"),
            modes: modes.to_owned(),
            screen: before.trim_end().to_owned(),
            bytes: self.bytes,
        };
        ended.fits(self.columns);
        ended.is_clean();
        ended
    }
}

impl Ended {
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code after\n{}", self.screen);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.screen.contains(text),
            "{text:?} is not on\n{}",
            self.screen
        );
        self
    }

    /// No line is wider than the terminal, in what was left to read.
    #[track_caller]
    fn fits(&self, columns: u16) {
        for line in self.screen.lines() {
            // what is there to be copied stays in one piece
            let is_copied = line.trim_start().starts_with("SELECT ");
            assert!(
                is_copied || line.chars().count() <= usize::from(columns),
                "wider than {columns}: {line}"
            );
        }
    }

    /// The cursor shows, and the terminal reads lines and echoes again.
    #[track_caller]
    fn is_clean(&self) {
        let text = String::from_utf8_lossy(&self.bytes);
        let (hidden, shown) = (text.rfind("\u{1b}[?25l"), text.rfind("\u{1b}[?25h"));
        assert!(
            hidden.is_none() || shown > hidden,
            "the cursor is left hidden: {text:?}"
        );
        for mode in ["isig", "icanon", "echo", "icrnl", "opost"] {
            assert!(
                self.modes.split_whitespace().any(|word| word == mode),
                "the terminal is left without {mode}: {}",
                self.modes
            );
        }
    }
}
