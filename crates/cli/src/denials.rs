//! Objects that may not be looked at: one by one they are the objects' failures, all together the credentials'.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::failure::Failure;

/// So many denials, with nothing told before them, are one failure of the whole command.
const DENIALS: u64 = 64;

/// What became of the looks of one command.
#[derive(Debug, Clone, Default)]
pub struct Denials(Arc<Mutex<Looks>>);

#[derive(Debug, Default)]
struct Looks {
    first: Option<Failure>,
    denied: u64,
    told: u64,
}

impl Looks {
    fn denied(&mut self, failure: Failure) -> Result<(), Failure> {
        self.denied += 1;
        self.first.get_or_insert(failure);
        if self.denied == DENIALS {
            self.must_not_be_all()?;
        }
        Ok(())
    }

    fn must_not_be_all(&self) -> Result<(), Failure> {
        match &self.first {
            Some(first) if self.told == 0 => Err(first.clone()),
            _ => Ok(()),
        }
    }
}

impl Denials {
    /// Takes the end of one look; fails where nothing can be looked at.
    pub fn looked(&self, failure: Option<&Failure>) -> Result<(), Failure> {
        let mut looks = self.looks();
        if let Some(failure) = failure.filter(|failure| is_denial(failure)) {
            return looks.denied(failure.clone());
        }
        looks.told += 1;
        Ok(())
    }

    /// Fails where nothing could be looked at for want of a permission: that ails the credentials, not the objects.
    pub fn must_not_be_all(&self) -> Result<(), Failure> {
        self.looks().must_not_be_all()
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
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
        let denials = Denials::default();
        assert_eq!(denials.must_not_be_all(), Ok(()), "nothing was looked at");
        for _ in 1..DENIALS {
            assert_eq!(denials.looked(Some(&failure("AccessDenied"))), Ok(()));
        }
        assert_eq!(denials.must_not_be_all(), Err(failure("AccessDenied")));
        let last = denials.looked(Some(&failure("AccessDenied")));
        assert_eq!(last, Err(failure("AccessDenied")));
        // Another failure than a denial is an object's own.
        denials.looked(Some(&failure("RequestNotMade"))).unwrap();
        assert_eq!(denials.must_not_be_all(), Ok(()));
    }
}
