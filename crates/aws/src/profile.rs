//! Credentials of an explicitly named profile, and of no other source.

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};

/// Provides the credentials of one profile: its keys, role, session or process.
///
/// The SDK's default chain would prefer the environment over the named profile.
#[derive(Debug)]
pub(crate) struct NamedProfile {
    name: String,
    provider: ProfileFileCredentialsProvider,
}

/// The reason why a named profile provides no credentials.
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
            // A role or a session that is refused, or that does not respond.
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
