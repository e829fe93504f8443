//! The S3 adapters keep the contract of the ports on the simulator, through the real SDK, without deviations.

use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::source::S3Source;
use s3ferry_core::names::ObjectKey;
use s3ferry_engine::ports::{DestinationBucket, SourceBucket};
use s3ferry_testkit::contract::{self, ContractFixture, Deviation, SampleObject};
use s3ferry_testkit::sim::model::content::SimContent;
use s3ferry_testkit::sim::model::delete::DeleteRequest;
use s3ferry_testkit::sim::model::object::WriteAttributes;
use s3ferry_testkit::sim::model::put::PutRequest;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

use crate::stage::{bucket, clients, region};

const SOURCE: &str = "contract-source";
const DESTINATION: &str = "contract-destination";

struct OnSimulator {
    source: S3Source,
    destination: S3Destination,
    server: SimServer,
}

impl OnSimulator {
    async fn prepare() -> Self {
        let server = SimServer::start(ServerOptions::default())
            .await
            .expect("the simulator starts");
        server
            .make_versioned_buckets([(SOURCE, SOURCE_REGION), (DESTINATION, DESTINATION_REGION)])
            .expect("the buckets are created");
        let clients = clients(server.endpoint());
        let source = S3Source::new(
            clients.s3_for_reading(&region(SOURCE_REGION)),
            bucket(SOURCE),
            region(SOURCE_REGION),
            None,
            bucket(DESTINATION),
        );
        Self {
            destination: S3Destination::new(&clients, bucket(DESTINATION), region(DESTINATION_REGION), None, &source),
            source,
            server,
        }
    }

    fn put(&self, bucket: &str, object: &SampleObject) {
        let put = PutRequest {
            explicit: WriteAttributes {
                metadata: object.user_metadata.clone(),
                tags: object.tags.clone(),
                ..WriteAttributes::default()
            },
            content: SimContent::from(object.content.clone().into_bytes()),
            ..PutRequest::default()
        };
        let target = WriteTarget {
            bucket,
            key: object.key.as_str(),
        };
        self.server
            .model()
            .put_object(target, put)
            .expect("the object is written");
    }
}

impl ContractFixture for OnSimulator {
    fn source(&self) -> &impl SourceBucket {
        &self.source
    }

    fn destination(&self) -> &impl DestinationBucket {
        &self.destination
    }

    async fn put_source(&self, object: &SampleObject) {
        self.put(SOURCE, object);
    }

    async fn put_destination(&self, object: &SampleObject) {
        self.put(DESTINATION, object);
    }

    async fn delete_source(&self, key: &ObjectKey) {
        let target = WriteTarget {
            bucket: SOURCE,
            key: key.as_str(),
        };
        self.server
            .model()
            .delete_object(target, &DeleteRequest::default())
            .expect("the object is deleted");
    }

    async fn destination_content(&self, key: &ObjectKey) -> Option<String> {
        let model = self.server.model();
        let bucket = model.bucket(DESTINATION).expect("the bucket exists");
        let object = bucket.current_object(key.as_str())?;
        Some(String::from_utf8(object.content.to_bytes().to_vec()).expect("samples are text"))
    }

    fn deviations(&self) -> &'static [Deviation] {
        &[]
    }
}

#[tokio::test]
async fn s3_adapters_keep_the_contract_on_the_simulator() {
    contract::run(&OnSimulator::prepare().await).await;
}
