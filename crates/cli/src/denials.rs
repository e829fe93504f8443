//! Denied reads: of single objects they are failures of the objects, of all objects a failure of the command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::failure::{Failure, FailureCode};

/// The number of denials without a successful read that fails the command.
const DENIALS: u64 = 64;

/// Counts the reads of one command.
#[derive(Debug, Clone, Default)]
pub struct DenialCounter(Arc<Mutex<AccessCounts>>);

#[derive(Debug, Default)]
struct AccessCounts {
    first: Option<Failure>,
    denied: u64,
    verified_keys: u64,
}

impl AccessCounts {
    fn denied(&mut self, failure: Failure) -> Result<(), Failure> {
        self.denied += 1;
        self.first.get_or_insert(failure);
        if self.denied == DENIALS {
            self.ensure_not_all_denied()?;
        }
        Ok(())
    }

    fn ensure_not_all_denied(&self) -> Result<(), Failure> {
        match &self.first {
            Some(first) if self.verified_keys == 0 => Err(first.clone()),
            _ => Ok(()),
        }
    }
}

impl DenialCounter {
    /// Counts a read; fails if no object can be read.
    pub fn record(&self, failure: Option<&Failure>) -> Result<(), Failure> {
        let mut counts = self.counts();
        if let Some(failure) = failure.filter(|failure| is_denial(failure)) {
            return counts.denied(failure.clone());
        }
        counts.verified_keys += 1;
        Ok(())
    }

    /// Fails if every read was denied: the credentials lack a permission.
    pub fn ensure_not_all_denied(&self) -> Result<(), Failure> {
        self.counts().ensure_not_all_denied()
    }

    fn counts(&self) -> MutexGuard<'_, AccessCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a failure is a denied permission.
#[must_use]
pub fn is_denial(failure: &Failure) -> bool {
    failure.code == FailureCode::AccessDenied
}

#[cfg(test)]
mod tests {
    use s3ferry_core::failure::FailureKind;

    use super::*;

    fn failure(code: &str) -> Failure {
        Failure {
            kind: FailureKind::Permanent,
            code: code.into(),
            action: "s3:GetObject".to_owned(),
            resource: "arn:aws:s3:::source/key".to_owned(),
            detail: "no".to_owned(),
        }
    }

    #[test]
    fn only_denials_of_everything_fail_the_command() {
        let denials = DenialCounter::default();
        assert_eq!(denials.ensure_not_all_denied(), Ok(()), "nothing was read");
        for _ in 1..DENIALS {
            assert_eq!(denials.record(Some(&failure("AccessDenied"))), Ok(()));
        }
        assert_eq!(denials.ensure_not_all_denied(), Err(failure("AccessDenied")));
        let last = denials.record(Some(&failure("AccessDenied")));
        assert_eq!(last, Err(failure("AccessDenied")));
        // Another failure than a denial is an object's own.
        denials.record(Some(&failure("RequestNotMade"))).unwrap();
        assert_eq!(denials.ensure_not_all_denied(), Ok(()));
    }
}
