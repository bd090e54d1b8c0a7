//! A password that a program prints, for tokens that expire.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::{Address, Endpoint, secret};

/// Clouds' own tools take seconds to make a token; a connection must not wait for ever for one.
const LIMIT: Duration = Duration::from_secs(20);

/// No password is longer; what a program prints beyond it is a mistake.
const LONGEST: u64 = 64 * 1024;

/// Runs it. What it writes on standard error is thrown away, for it may hold what it read.
pub async fn run(
    words: &[String],
    address: &Address,
    endpoint: &Endpoint,
) -> Result<SecretString, String> {
    within(LIMIT, words, address, endpoint).await
}

async fn within(
    limit: Duration,
    words: &[String],
    address: &Address,
    endpoint: &Endpoint,
) -> Result<SecretString, String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let (host, port) = match endpoint {
        Endpoint::Tcp { host, port } => (host.clone(), *port),
        Endpoint::Socket { path, port } => (path.display().to_string(), *port),
    };
    let child = Command::new(program)
        .args(arguments)
        .env("JIT_HOST", host)
        .env("JIT_PORT", port.to_string())
        .env("JIT_USER", &address.user)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let mut running = Running(child);
    let printed = tokio::time::timeout(limit, running.finish())
        .await
        .map_err(|_| format!("{program} took longer than {} s", limit.as_secs()))?;
    let (bytes, status) = printed.map_err(|error| format!("cannot run {program}: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("{program} printed far more than a password"));
    }
    if !status.success() {
        return Err(format!(
            "{program} ended with {status}; run it by hand to see what it says"
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{program} printed no UTF-8"))?;
    secret(&text, &format!("what {program} printed"))
}

/// A program and whatever it has started: all of it ends with this.
struct Running(Child);

impl Running {
    async fn finish(&mut self) -> std::io::Result<(Vec<u8>, std::process::ExitStatus)> {
        let mut bytes = Vec::new();
        if let Some(stdout) = self.0.stdout.take() {
            stdout.take(LONGEST + 1).read_to_end(&mut bytes).await?;
        }
        Ok((bytes, self.0.wait().await?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once it has been waited for, its number may be somebody else's, and `id` is gone.
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn ran(script: &str, limit: Duration) -> Result<String, String> {
        let address = Address::parse("postgres://j@db,[::1]:7/shop").unwrap();
        let words = ["sh", "-c", script].map(str::to_owned);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(within(limit, &words, &address, &address.endpoints[1]))
            .map(|secret| secret.expose_secret().to_owned())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_first_line_counts_and_the_endpoint_is_told() {
        assert_eq!(ran("echo one; echo two", LONG).unwrap(), "one");
        let told = ran("echo \"$JIT_USER $JIT_HOST $JIT_PORT\"", LONG);
        assert_eq!(told.unwrap(), "j ::1 7");
    }

    #[test]
    fn what_fails_is_named_and_nothing_that_it_says_is_repeated() {
        for (script, why) in [
            ("echo hunter2; echo hunter2 >&2; exit 3", "status: 3"),
            ("true", "empty"),
            ("printf '\\377'", "UTF-8"),
            ("head -c 100000 /dev/zero", "far more"),
        ] {
            let error = ran(script, LONG).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn one_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let error = ran(&script, Duration::from_secs(1)).unwrap_err();
        assert!(error.contains("longer than 1 s"), "{error}");
        let pid = std::fs::read_to_string(file).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z"))
        });
        assert!(gone, "the sleep went on");
    }
}
