//! The credentials of a profile that somebody named, and of nothing else.

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};

/// Takes credentials out of one profile: its keys, its role, its session or its process.
///
/// The SDK's own chain would ask the environment first, as if nobody had named a profile.
#[derive(Debug)]
pub(crate) struct NamedProfile {
    name: String,
    provider: ProfileFileCredentialsProvider,
}

/// Why a profile that was named gives no credentials.
#[derive(Debug, thiserror::Error)]
#[error("profile `{name}` gives no credentials")]
pub(crate) struct NoCredentialsInProfile {
    name: String,
    source: CredentialsError,
}

impl NamedProfile {
    pub(crate) fn new(name: &str, config: &ProviderConfig) -> Self {
        Self {
            name: name.to_owned(),
            provider: ProfileFileCredentialsProvider::builder()
                .configure(config)
                .profile_name(name)
                .build(),
        }
    }

    async fn credentials(&self) -> provider::Result {
        let credentials = self.provider.provide_credentials().await;
        credentials.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
                CredentialsError::not_loaded(NoCredentialsInProfile {
                    name: self.name.clone(),
                    source: error,
                })
            }
            // A role or a session that is refused, or does not answer.
            error => error,
        })
    }
}

impl ProvideCredentials for NamedProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
