use proptest::prelude::*;

use super::keys::KEYS;
use super::parameters::{DESTINATION_PARAMETERS, SOURCE_PARAMETERS, StackDescription};
use super::*;

const SIDES: &str = "schema = 1\nsource = 's3://photos-us/a/'\ndestination = 's3://photos-eu/a/'\n";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1a";
const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/2b";

fn parsed(text: &str) -> MigrationFile {
    MigrationFile::parse(text).unwrap_or_else(|problems| panic!("{problems:?} in {text}"))
}

#[test]
fn values_are_read_as_the_text_of_their_flags() {
    let text = format!(
        "{SIDES}propagate_deletes = true\npart_size_bytes = 0x800_0000\nkms_key_map = {{ \"{SOURCE_KEY}\" = \"{KEY}\" }}\n\
         [source_parameters]\nBatchSize = 20\nFinalSyncScheduleExpression = 'rate(1 day)'\n"
    );
    let file = parsed(&text);
    let migration = file.select(None).unwrap();
    assert_eq!(migration.source.to_string(), "s3://photos-us/a/");
    assert_eq!(migration.value("propagate_deletes"), Some("true"));
    assert_eq!(migration.value("part_size_bytes"), Some("134217728"));
    let map = format!("{{\"{SOURCE_KEY}\":\"{KEY}\"}}");
    assert_eq!(migration.value("kms_key_map"), Some(map.as_str()));
    assert_eq!(migration.values.source_parameters["BatchSize"], "20");
    assert_eq!(migration.value("ownership"), None);
}

#[test]
fn every_problem_has_its_line_and_a_next_step() {
    for (text, line, what, next) in [
        (
            "sources = 's3://x'\n",
            4,
            "unknown key `sources`",
            "did you mean `source`?",
        ),
        (
            "source-region = 'us-east-1'",
            4,
            "unknown key `source-region`",
            "`source_region`",
        ),
        ("\n\nbandwidth = 1", 6, "unknown key `bandwidth`", "lists the keys"),
        (
            "Ownership = 'shared'",
            4,
            "unknown key `Ownership`",
            "write it as `ownership`",
        ),
        ("BatchSize = 1", 4, "unknown key `BatchSize`", "[source_parameters]"),
        (
            "ownership = 'share'",
            4,
            "allowed: exclusive, shared",
            "did you mean \"shared\"?",
        ),
        (
            "source_region = 'Frankfurt'",
            4,
            "`Frankfurt` is not valid",
            "source_region = \"us-east-1\"",
        ),
        (
            "propagate_deletes = 'yes'",
            4,
            "must be true or false, not string",
            "propagate_deletes = false",
        ),
        ("part_size_bytes = 5", 4, "allowed: 5242880 to 5368709120", "134217728"),
        (
            "part_size_bytes = -1",
            4,
            "must be a number, not that number",
            "134217728",
        ),
        (
            "state_bucket = 'FILL-IN'",
            4,
            "`state_bucket` is not filled in",
            "replace it",
        ),
        (
            "state_bucket = 'photos-eu'",
            4,
            "`state_bucket` and `destination` are the same",
            "separate",
        ),
        ("kms_key_map = { a = 'b' }", 4, "`kms_key_map`", "kms_key_map = {"),
        (
            "[source_parameters]\nBatchSizes = 1",
            5,
            "unknown parameter `BatchSizes`",
            "did you mean `BatchSize`?",
        ),
        (
            "[source_parameters]\nOwnership = 'shared'",
            5,
            "a key of its own",
            "write it as `ownership`",
        ),
        (
            "[[migration]]\n",
            2,
            "`source` is above [[migration]]",
            "below the line [[migration]]",
        ),
        ("[[migration]]\n", 4, "`name` is missing", "name = \"photos\""),
        ("a b", 4, "not TOML", "correct the line"),
        ("schema = 1", 4, "not TOML: duplicate key", "correct the line"),
    ] {
        let problems = MigrationFile::parse(&format!("{SIDES}{text}")).unwrap_err();
        let is_it =
            |found: &MigrationFileProblem| found.line == line && found.what.contains(what) && found.next.contains(next);
        assert!(problems.iter().any(is_it), "{text}: {problems:?}");
    }
}

#[test]
fn missing_and_contradictory_values_are_problems() {
    let crr = "replication_engine = 'crr'\n";
    for (text, line, what) in [
        (String::new(), 1, "`schema` is missing"),
        ("schema = 2".to_owned(), 1, "schema 2 is newer"),
        (
            "schema = 1\nsource = 's3://photos-us'".to_owned(),
            1,
            "`destination` is missing",
        ),
        (SIDES.replace("photos-eu", "photos-us"), 3, "are the same bucket"),
        (SIDES.replace("photos-eu/a/", "photos-eu/b/"), 3, "the prefixes"),
        (
            format!("{SIDES}{crr}ownership = 'shared'"),
            5,
            "contradicts `replication_engine` = `crr`",
        ),
        (
            format!("{SIDES}{crr}source_kms_key_arn = '{SOURCE_KEY}'"),
            5,
            "S3 would replicate no object",
        ),
        (
            format!("{SIDES}destination_region = 'eu-west-1'\ndestination_encryption = 'aws:kms:{KEY}'"),
            5,
            "is not in eu-west-1",
        ),
    ] {
        let problems = MigrationFile::parse(&text).unwrap_err();
        let is_it = |found: &MigrationFileProblem| found.line == line && found.what.contains(what);
        assert!(problems.iter().any(is_it), "{text}: {problems:?}");
    }
}

#[test]
fn several_migrations_share_values_and_are_selected_by_name() {
    let several = |second: &str| {
        format!(
            "schema = 1\nownership = 'shared'\nstate_bucket = 'state'\n\
             [[migration]]\nname = 'photos'\nsource = 's3://one-us'\ndestination = 's3://one-eu'\n\
             [[migration]]\nname = 'texts'\nstate_bucket = 'other'\n{second}\n"
        )
    };
    let file = parsed(&several("source = 's3://two-us'\ndestination = 's3://two-eu'"));
    let texts = file.select(Some("texts")).unwrap();
    assert_eq!(
        (texts.value("ownership"), texts.value("state_bucket")),
        (Some("shared"), Some("other"))
    );
    let names = || vec!["photos".to_owned(), "texts".to_owned()];
    assert_eq!(
        file.select(None),
        Err(MigrationSelectionError::Several { names: names() })
    );
    let unknown = MigrationSelectionError::Unknown {
        name: "photo".to_owned(),
        similar: Some("photos".to_owned()),
        names: names(),
    };
    assert_eq!(file.select(Some("photo")), Err(unknown));
    let problems =
        MigrationFile::parse(&several("source = 's3://two-us/x/'\ndestination = 's3://one-eu/x/'")).unwrap_err();
    assert_eq!((problems[0].line, problems.len()), (12, 1), "{problems:?}");
    assert!(
        problems[0]
            .what
            .contains("overlaps with the destination s3://one-eu/ in line 7"),
        "{problems:?}"
    );
}

/// A value that each kind of key allows.
fn value_of(key: &str) -> BoxedStrategy<String> {
    let text = |values: &'static [&'static str]| proptest::sample::select(values).prop_map(str::to_owned).boxed();
    match key {
        "source" => "s3://us-[a-z0-9]{3,20}/(a/)?".boxed(),
        "destination" => "s3://eu-[a-z0-9]{3,20}/(a/)?".boxed(),
        "source_region" => text(&["us-east-1", "us-west-2"]),
        "destination_region" => text(&["eu-central-1"]),
        "destination_encryption" => text(&[
            "bucket-default",
            "AES256",
            "aws:kms:arn:aws:kms:eu-central-1:111122223333:key/1a",
        ]),
        _ => Just(String::new()).boxed(),
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_lines_of_the_text(text in "(schema = 1\n)?(\\PC|\n|=|\\[|\\]|'){0,120}") {
        if let Err(problems) = MigrationFile::parse(&text) {
            prop_assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            prop_assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)), "{:?}", problems);
        }
    }

    #[test]
    fn rendered_values_are_read_as_they_were(
        source in value_of("source"),
        destination in value_of("destination"),
        region in value_of("source_region"),
        encryption in value_of("destination_encryption"),
        schedule in "[ -~é\u{7f}\n\t]{0,20}",
        deletes in any::<bool>(),
    ) {
        prop_assume!(source.ends_with("/a/") == destination.ends_with("/a/"));
        let mut values = MigrationValues::default();
        values.keys.insert("source", source);
        values.keys.insert("destination", destination);
        values.keys.insert("source_region", region);
        values.keys.insert("destination_encryption", encryption);
        values.keys.insert("propagate_deletes", deletes.to_string());
        values.keys.insert("kms_key_map", format!("{{\"{SOURCE_KEY}\":\"{KEY}\"}}"));
        values.source_parameters.insert("FinalSyncScheduleExpression", schedule);
        let text = values.render();
        let read = MigrationFile::parse(&text).unwrap_or_else(|problems| panic!("{problems:?} in {text}"));
        prop_assert_eq!(&read.migrations[0].values, &values);
    }
}

#[test]
fn new_file_names_every_key_and_asks_for_both_buckets() {
    let text = MigrationValues::default().render();
    for key in KEYS {
        assert!(text.contains(&format!("{} = ", key.name)), "{}", key.name);
    }
    assert!(text.lines().all(|line| line.len() <= 125), "{text}");
    let problems = MigrationFile::parse(&text).unwrap_err();
    let what: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
    let expected = ["source", "destination"].map(|key| format!("`{key}` is not filled in: s3://FILL-IN"));
    assert_eq!(what, expected);
    // Each example can be used as it is.
    for key in KEYS.iter().filter(|key| !["source", "destination"].contains(&key.name)) {
        parsed(&format!("{SIDES}{} = {}\n", key.name, key.example));
    }
}

fn stack(parameters: &[(&str, &str)], defaults: &[super::parameters::StackParameter]) -> StackDescription {
    let defaults = defaults
        .iter()
        .filter_map(|parameter| Some((parameter.name.to_owned(), parameter.default?.to_owned())));
    let mut all: BTreeMap<String, String> = defaults.collect();
    all.extend(
        parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    StackDescription {
        name: "s3ferry-source".to_owned(),
        region: "us-east-1".to_owned(),
        account: Some("111122223333".to_owned()),
        parameters: all,
        outputs: [("StateBucketName".to_owned(), "state-1".to_owned())].into(),
    }
}

#[test]
fn parameters_of_deployed_stacks_survive_the_file() {
    let map = format!("{{\"{SOURCE_KEY}\":\"{KEY}\"}}");
    let source = [
        ("SourceBucketName", "photos-us"),
        ("DestinationBucketName", "photos-eu"),
        ("DestinationRegion", "eu-central-1"),
        ("DestinationBucketOwner", "444455556666"),
        ("KeyPrefix", "images/"),
        ("ReplicationEngine", "both"),
        ("PropagateDeletes", "true"),
        ("DestinationEncryption", "aws:kms:dsse"),
        ("DestinationKmsKeyArn", KEY),
        ("KmsKeyMap", &map),
        ("KmsKeyMapSourceKeyArns", SOURCE_KEY),
        ("KmsKeyMapDestinationKeyArns", KEY),
        ("BatchSize", "100"),
        ("FinalSyncScheduleExpression", "rate(1 day)"),
    ];
    let destination = [
        ("BucketName", "photos-eu"),
        ("CreateBucket", "false"),
        ("KmsKeyArn", KEY),
        ("ReplicationEngine", "both"),
    ];
    let values = MigrationValues::of_stacks(
        &stack(&source, SOURCE_PARAMETERS),
        Some(&StackDescription {
            name: "s3ferry-destination".to_owned(),
            ..stack(&destination, DESTINATION_PARAMETERS)
        }),
    )
    .unwrap();
    assert_eq!(
        values.get("destination_encryption"),
        Some(format!("aws:kms:dsse:{KEY}").as_str())
    );
    assert_eq!(values.get("source_bucket_owner"), Some("111122223333"));
    assert_eq!(values.get("state_bucket"), Some("state-1"));
    assert_eq!(values.get("ownership"), None, "the template's default");
    let file = parsed(&values.render());
    let migration = &file.migrations[0];
    assert_eq!(migration.values, values);
    let of = |parameters: Vec<(&'static str, String)>| parameters.into_iter().collect::<BTreeMap<_, _>>();
    let expected = |given: &[(&'static str, &str)]| {
        given
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(of(migration.source_parameters().unwrap()), expected(&source));
    assert_eq!(of(migration.destination_parameters()), expected(&destination));
}

#[test]
fn stacks_of_other_templates_and_buckets_are_refused() {
    let sides = [
        ("SourceBucketName", "photos-us"),
        ("DestinationBucketName", "photos-eu"),
    ];
    let source = stack(&sides, SOURCE_PARAMETERS);
    let other = stack(&[("BucketName", "texts-eu")], DESTINATION_PARAMETERS);
    let refused = MigrationValues::of_stacks(&source, Some(&other))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("is of the bucket texts-eu, and the source stack copies to photos-eu"),
        "{refused}"
    );
    let refused = MigrationValues::of_stacks(&other, None).unwrap_err().to_string();
    assert!(refused.contains("infra/source.yaml"), "{refused}");
}

#[test]
fn prefix_that_the_template_refuses_is_refused_before_the_deployment() {
    let file = parsed(&SIDES.replace("/a/", "/a b/"));
    assert!(file.migrations[0].source_parameters().is_err());
    let file = parsed(&SIDES.replace("/a/", ""));
    let parameters = file.migrations[0].source_parameters().unwrap();
    assert!(parameters.contains(&("KeyPrefix", String::new())), "{parameters:?}");
}
