//! Exit codes: an interface that scripts rely on.

use std::io;
use std::process::ExitCode;

use super::terminal;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something was found; done.
    Found,
    /// Nothing was found.
    Nothing,
    /// The answer is partial, or a part of the input was rejected; already said on stderr.
    Partial,
    /// The time given with `--timeout` is over.
    TimedOut,
}

/// Settings with which the program cannot run: exit code 78 (`EX_CONFIG` of sysexits.h) and one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) String);

/// Marks an error as "the time given is over".
#[derive(Debug, thiserror::Error)]
#[error("timed out: give more time with --timeout, or ask for less with --since, --until or --limit")]
pub(crate) struct TimedOut;

const UNUSABLE_SETTINGS: u8 = 78;

/// The exit code of an outcome; prints the error, if it is one.
pub(crate) fn code(outcome: anyhow::Result<Exit>) -> ExitCode {
    match outcome {
        Ok(Exit::Found) => ExitCode::SUCCESS,
        Ok(Exit::Nothing) => ExitCode::from(1),
        Ok(Exit::Partial) => ExitCode::from(2),
        Ok(Exit::TimedOut) => ExitCode::from(3),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::note(&format!("{error:#}"));
            if error.downcast_ref::<Unusable>().is_some() {
                ExitCode::from(UNUSABLE_SETTINGS)
            } else if error.downcast_ref::<TimedOut>().is_some() {
                ExitCode::from(3)
            } else {
                ExitCode::from(2)
            }
        }
    }
}

/// Whether the reader of our output went away (`needle grep x | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |io: &io::Error| io.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<terminal::OutputError>().is_some_and(|error| broken(&error.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(outcome: anyhow::Result<Exit>) -> String {
        format!("{:?}", code(outcome))
    }

    #[test]
    fn a_broken_pipe_on_stdout_is_success_and_one_on_a_connection_is_not() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(code_of(Err(terminal::OutputError(pipe()).into())), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(code_of(Err(pipe().into())), format!("{:?}", ExitCode::from(2)));
    }

    #[test]
    fn unusable_settings_and_timeouts_have_their_own_codes() {
        assert_eq!(code_of(Err(Unusable("x".to_owned()).into())), format!("{:?}", ExitCode::from(78)));
        assert_eq!(code_of(Err(anyhow::Error::from(TimedOut))), format!("{:?}", ExitCode::from(3)));
        assert_eq!(code_of(Ok(Exit::Nothing)), format!("{:?}", ExitCode::from(1)));
    }
}
