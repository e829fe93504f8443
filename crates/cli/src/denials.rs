//! Objects that may not be looked at: one by one they are the objects' failures, all together the credentials'.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::failure::Failure;

/// So many denials, with nothing told before them, are one failure of the whole command.
const DENIALS: u64 = 64;

/// What became of the looks of one command.
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
    /// Takes the end of one look; fails where nothing can be looked at.
    pub fn record(&self, failure: Option<&Failure>) -> Result<(), Failure> {
        let mut looks = self.counts();
        if let Some(failure) = failure.filter(|failure| is_denial(failure)) {
            return looks.denied(failure.clone());
        }
        looks.verified_keys += 1;
        Ok(())
    }

    /// Fails where nothing could be looked at for want of a permission: that ails the credentials, not the objects.
    pub fn ensure_not_all_denied(&self) -> Result<(), Failure> {
        self.counts().ensure_not_all_denied()
    }

    fn counts(&self) -> MutexGuard<'_, AccessCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a failure may be that of a permission that everything needs.
#[must_use]
pub fn is_denial(failure: &Failure) -> bool {
    failure.code == "AccessDenied"
}

#[cfg(test)]
mod tests {
    use s3ferry_core::failure::FailureKind;

    use super::*;

    fn failure(code: &str) -> Failure {
        Failure {
            kind: FailureKind::Permanent,
            code: code.to_owned(),
            action: "s3:GetObject".to_owned(),
            resource: "arn:aws:s3:::source/key".to_owned(),
            detail: "no".to_owned(),
        }
    }

    #[test]
    fn only_denials_of_everything_fail_the_command() {
        let denials = DenialCounter::default();
        assert_eq!(denials.ensure_not_all_denied(), Ok(()), "nothing was looked at");
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
