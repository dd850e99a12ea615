//! Declassifications and endorsements: of a value from a source, to a sink and a destination, so often.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use graft_core::{
    Action, Call, CallId, Decision, FaultCode, Interceptor, Label, Labeled, Metadata, Name, Origin,
    OutputTrust, Role, Sensitivity, Signal, Trust,
};
use graft_security::dataflow::grants::MAX_USES;
use graft_security::dataflow::{
    DataFlowMode, GrantError, GrantId, GrantSource, OnDoubt, Response, Rule, Terms,
};

use super::stage::{Args, DIARY, FRIEND, HOUR, NOBODY, PAGE, RUN, STRANGER, Stage, WHO, args, mail, policy};

const VAULT: GrantSource = GrantSource::Call(CallId(1));
const WEB: GrantSource = GrantSource::Tool(Name::from_static("page"));

/// What a grant is for.
struct For<'a> {
    value: &'a str,
    source: GrantSource,
    to: &'a str,
    uses: u32,
    lasts: u64,
}

impl<'a> For<'a> {
    fn diary(to: &'a str) -> Self {
        Self { value: DIARY, source: VAULT, to, uses: 1, lasts: HOUR }
    }

    fn stranger() -> Self {
        Self { value: STRANGER, source: WEB, to: STRANGER, uses: 1, lasts: HOUR }
    }
}

impl Stage {
    fn declassify(&self, what: &For<'_>) -> Result<GrantId, GrantError> {
        let (tool, to) = (mail(), args(&[("to", what.to)]));
        self.grants.declassify(Labeled::new(self.terms(what, &tool, &to), Label::default()), &WHO)
    }

    fn endorse(&self, what: &For<'_>) -> Result<GrantId, GrantError> {
        let (tool, to) = (mail(), args(&[("to", what.to)]));
        self.grants.endorse(Labeled::new(self.terms(what, &tool, &to), Label::default()), &WHO)
    }

    fn terms<'a>(&self, what: &For<'a>, tool: &'a graft_core::ToolMetadata, to: &'a Args) -> Terms<'a> {
        Terms::new(what.value, what.source.clone(), tool, to, self.later(what.lasts)).uses(what.uses)
    }
}

#[test]
fn a_declassified_value_leaves_once_to_where_it_may_and_leaves_one_record() {
    let stage = Stage::new(policy()).read_diary();
    assert!(stage.mail(4, FRIEND, DIARY).is_err());
    let id = stage.declassify(&For::diary(FRIEND)).expect("is granted");
    let label = stage.mail(5, FRIEND, DIARY).expect("it was declassified");
    assert!(label.sensitivity() < Sensitivity::Secret, "an unraised channel carries it");
    assert!(stage.mail(6, FRIEND, DIARY).is_err(), "one shot");

    assert_eq!((stage.count(Action::GrantMade), stage.count(Action::DataflowDeclassified)), (1, 1));
    let events = stage.events();
    let coded = |action| {
        let event = events.iter().find(|event| event.action == action).expect("one");
        (event.actor.as_str(), event.code.as_ref().map(|code| code.as_str().to_owned()))
    };
    let code = Some(format!("declassify:{}", id.0));
    assert_eq!(coded(Action::GrantMade), ("ann", code.clone()));
    assert_eq!(coded(Action::DataflowDeclassified), ("agent", code));
}

#[test]
fn every_binding_of_a_declassification_binds() {
    let right = || For::diary(FRIEND);
    for (what, wrong) in [
        ("value", For { value: "The vault behind the blue painting", ..right() }),
        ("value", For { value: PAGE, ..right() }),
        ("source call", For { source: GrantSource::Call(CallId(0)), ..right() }),
        ("source tool", For { source: GrantSource::Tool(Name::from_static("page")), ..right() }),
        ("source", For { source: GrantSource::Nowhere, ..right() }),
        ("source", For { source: GrantSource::Prompt, ..right() }),
        ("destination", For { to: NOBODY, ..right() }),
        ("destination", For { to: "", ..right() }),
    ] {
        let stage = Stage::new(policy()).read_diary();
        stage.declassify(&wrong).expect("is granted, for something else");
        assert!(stage.mail(5, FRIEND, DIARY).is_err(), "{what}");
        assert_eq!(stage.count(Action::DataflowDeclassified), 0, "{what}");
    }
    let stage = Stage::new(policy()).read_diary();
    stage.declassify(&right()).expect("is granted");
    let mut post = mail();
    post.name = Name::from_static("post");
    assert!(stage.call(5, &post, &args(&[("to", FRIEND), ("body", DIARY)])).is_err(), "sink");
    let longer = format!("{DIARY} And more of it.");
    assert!(stage.mail(5, FRIEND, &longer).is_err(), "the whole of another leaf");
    // The span as evidence names it, without the full stop.
    stage.declassify(&For { value: &DIARY[..DIARY.len() - 1], ..right() }).expect("is granted");
    stage.mail(6, FRIEND, &longer).expect("the span is what was granted");
    // An endorsement is no declassification, nor the other way round.
    let stage = Stage::new(policy()).read_diary();
    stage.endorse(&right()).expect("is granted");
    assert!(stage.mail(5, FRIEND, DIARY).is_err());
    stage.declassify(&For::stranger()).expect("is granted");
    assert!(stage.mail(5, STRANGER, "").is_err());
}

#[test]
fn a_grant_ends_with_its_time() {
    let stage = Stage::new(policy()).read_diary();
    stage.declassify(&For::diary(FRIEND)).expect("is granted");
    stage.clock.advance(Duration::from_nanos(HOUR));
    assert!(stage.mail(5, FRIEND, DIARY).is_err());
    assert_eq!(stage.declassify(&For { lasts: 0, ..For::diary(FRIEND) }), Err(GrantError::Expired));
}

#[test]
fn an_endorsed_destination_passes_once_and_its_result_stays_what_it_was() {
    let stage = Stage::new(policy());
    assert!(stage.mail(4, STRANGER, "hello").is_err());
    stage.endorse(&For::stranger()).expect("is granted");
    let label = stage.mail(5, STRANGER, "hello").expect("it was endorsed");
    assert_eq!(label.trust(), Trust::Untrusted, "who vouched for a value did not write it");
    assert!(stage.mail(6, STRANGER, "hello").is_err(), "one shot");
    assert_eq!((stage.count(Action::GrantMade), stage.count(Action::DataflowEndorsed)), (1, 1));
    assert_eq!(stage.count(Action::DataflowDeclassified), 0);
}

#[test]
fn a_span_of_content_and_a_value_that_nobody_named_are_endorsed_likewise() {
    let strict = policy().respond(Signal::UntrustedToSink, Response::Stop).on_doubt(OnDoubt::Block);
    let stage = Stage::new(strict);
    let body = format!("They say: {}", &PAGE[..49]);
    let found = stage.assess(&mail(), &args(&[("to", FRIEND), ("body", &body)]));
    let range = found.verdict.evidence[0].range.clone();
    assert!(stage.mail(4, FRIEND, &body).is_err());
    let span = For { value: &body[range], source: WEB, to: FRIEND, uses: 1, lasts: HOUR };
    stage.endorse(&span).expect("is granted");
    stage.mail(5, FRIEND, &body).expect("it was endorsed");
    assert!(stage.mail(6, NOBODY, "").is_err());
    let nobody = For { value: NOBODY, source: GrantSource::Nowhere, to: NOBODY, uses: 1, lasts: HOUR };
    stage.endorse(&nobody).expect("is granted");
    stage.mail(7, NOBODY, "").expect("it was endorsed");
}

#[test]
fn untrusted_terms_are_refused_and_an_endorsed_value_makes_trusted_ones() {
    let stage = Stage::new(policy()).read_diary();
    let (tool, to) = (mail(), args(&[("to", STRANGER)]));
    let what = For::stranger();
    let terms = || stage.terms(&what, &tool, &to);
    let page = Labeled::new((), Label::untrusted(Origin::WEB_SEARCH));
    // The host decided on what the page says: the label comes along.
    let decided = || page.clone().map(|()| terms());
    assert_eq!(stage.grants.endorse(decided(), &WHO), Err(GrantError::Untrusted));
    assert_eq!(stage.grants.declassify(decided(), &WHO), Err(GrantError::Untrusted));
    let joined = Labeled::new(terms(), Label::default()).zip(page.clone()).map(|(terms, ())| terms);
    assert_eq!(stage.grants.endorse(joined, &WHO), Err(GrantError::Untrusted));
    assert_eq!(stage.count(Action::GrantMade), 0);
    assert!(stage.mail(5, STRANGER, "").is_err());
    let (seen, _receipt) = page.endorse(Name::from_static("ann-looked"));
    stage.grants.endorse(seen.map(|()| terms()), &WHO).expect("is granted");
    stage.mail(6, STRANGER, "").expect("it was endorsed");
}

#[test]
fn a_call_passes_only_if_grants_cover_every_reason_and_else_uses_none() {
    let stage = Stage::new(policy()).read_diary();
    stage.declassify(&For::diary(STRANGER)).expect("is granted");
    assert!(stage.mail(5, STRANGER, DIARY).is_err(), "the destination is not vouched for");
    stage.endorse(&For::stranger()).expect("is granted");
    stage.mail(6, STRANGER, DIARY).expect("both are");
    assert_eq!((stage.count(Action::DataflowDeclassified), stage.count(Action::DataflowEndorsed)), (1, 1));

    // Two secrets, one grant.
    let stage = Stage::new(policy()).read_diary();
    let other = "My sister's safe is under the third stair, code nine nine two.";
    stage.read(2, "diary", OutputTrust::Trusted, Sensitivity::Secret, other);
    stage.declassify(&For::diary(FRIEND)).expect("is granted");
    assert!(stage.mail(5, FRIEND, &format!("{DIARY} {other}")).is_err());
    stage.mail(6, FRIEND, DIARY).expect("it was not used up");
}

#[test]
fn what_is_of_the_call_and_not_of_a_value_takes_no_grant() {
    let stage = Stage::new(policy());
    let mut delete = mail();
    delete.intent = vec!["delete".into()];
    stage.endorse(&For::stranger()).expect("is granted");
    let fault = stage.call(5, &delete, &args(&[("to", STRANGER)])).expect_err("nobody asked for it");
    assert_eq!(fault.code(), FaultCode::DataflowNeedsApproval);
}

#[test]
fn the_uses_of_a_grant_are_counted_and_bounded() {
    let stage = Stage::new(policy()).read_diary();
    for uses in [0, MAX_USES + 1] {
        assert_eq!(stage.declassify(&For { uses, ..For::diary(FRIEND) }), Err(GrantError::Uses));
    }
    assert_eq!(stage.declassify(&For { value: "", ..For::diary(FRIEND) }), Err(GrantError::Empty));
    stage.declassify(&For { uses: 3, ..For::diary(FRIEND) }).expect("is granted");
    let passed = (0..9).filter(|n| stage.mail(*n, FRIEND, DIARY).is_ok()).count();
    assert_eq!((passed, stage.count(Action::DataflowDeclassified)), (3, 3));
}

#[test]
fn calls_at_once_share_no_use() {
    for uses in [1, 5] {
        let stage = Stage::new(policy()).read_diary();
        stage.declassify(&For { uses, ..For::diary(FRIEND) }).expect("is granted");
        let passed = std::thread::scope(|scope| {
            let stage = &stage;
            let calls: Vec<_> =
                (0..16).map(|n| scope.spawn(move || stage.mail(n, FRIEND, DIARY).is_ok())).collect();
            calls.into_iter().filter_map(|call| call.join().ok()).filter(|passed| *passed).count()
        });
        let recorded = stage.count(Action::DataflowDeclassified);
        assert_eq!((passed, recorded), (uses as usize, uses as usize));
    }
}

#[test]
fn a_use_that_cannot_be_recorded_is_given_back_and_the_call_refused() {
    let stage = Stage::new(policy()).read_diary();
    stage.log.is_broken.store(true, SeqCst);
    assert!(matches!(stage.declassify(&For::diary(FRIEND)), Err(GrantError::Record(_))));
    stage.log.is_broken.store(false, SeqCst);
    assert!(stage.mail(4, FRIEND, DIARY).is_err(), "nothing was granted");
    stage.declassify(&For::diary(FRIEND)).expect("is granted");
    stage.log.is_broken.store(true, SeqCst);
    let fault = stage.mail(5, FRIEND, DIARY).expect_err("the use cannot be recorded");
    assert_eq!(fault.code(), FaultCode::RecordUnavailable);
    stage.log.is_broken.store(false, SeqCst);
    stage.mail(6, FRIEND, DIARY).expect("it was not used up");
    assert!(stage.mail(7, FRIEND, DIARY).is_err());
}

#[test]
fn evidence_past_the_bound_is_covered_by_nothing() {
    let stage = Stage::new(policy().respond(Signal::UntrustedToSink, Response::Stop));
    let links: String = (0..200).map(|n| format!("www.k{n}.example ")).collect();
    stage.read(2, "page", OutputTrust::Untrusted, Sensitivity::Internal, &links);
    let whole = For { value: &links, source: WEB, to: FRIEND, uses: 1, lasts: HOUR };
    stage.endorse(&whole).expect("is granted");
    assert!(stage.mail(5, FRIEND, &links).is_err(), "nobody can say what else is in it");
    let few: String = (0..9).map(|n| format!("www.k{n}.example ")).collect();
    stage.endorse(&For { value: &few, ..whole }).expect("is granted");
    stage.mail(6, FRIEND, &few).expect("the whole argument was endorsed");
}

#[test]
fn what_the_host_says_of_all_arguments_is_not_covered_by_a_grant_for_one() {
    let stage = Stage::new(policy().respond(Signal::UntrustedToSink, Response::Stop));
    stage
        .endorse(&For { value: NOBODY, source: GrantSource::Nowhere, to: NOBODY, uses: 1, lasts: HOUR })
        .expect("is granted");
    let (tool, to) = (mail(), args(&[("to", NOBODY)]));
    let meta = Metadata::new(RUN, CallId(5));
    let mut call = Call::new(&tool, &meta, &to);
    call.raise(&Label::untrusted(Origin::WEB_SEARCH));
    assert!(stage.gate.before(&mut call).is_err());
    stage.mail(6, NOBODY, "").expect("without that label it is");
}

#[test]
fn of_members_that_a_path_does_not_tell_apart_all_are_covered_or_none() {
    let stage = Stage::new(policy());
    let other = "My sister's safe is under the third stair, code nine nine two.";
    stage.read(1, "diary", OutputTrust::Trusted, Sensitivity::Secret, &format!("{DIARY}\n{other}"));
    let mut tool = mail();
    tool.args.insert("parts".into(), Role::Content);
    let parts = |members: &[(&str, &str)]| BTreeMap::from([("parts", args(members))]);
    let judge = |n, args: &BTreeMap<&str, Args>| {
        let meta = Metadata::new(RUN, CallId(n));
        stage.gate.before(&mut Call::new(&tool, &meta, args))
    };
    let nowhere = Args::new();
    let terms = Terms::new(DIARY, VAULT, &tool, &nowhere, stage.later(HOUR));
    stage.grants.declassify(Labeled::new(terms, Label::default()), &WHO).expect("is granted");
    assert!(judge(5, &parts(&[("x", DIARY), ("y", other)])).is_err());
    judge(6, &parts(&[("x", DIARY), ("y", DIARY)])).expect("every member is what was granted");
}

#[test]
fn a_span_that_goes_on_in_the_next_argument_is_covered_by_nothing() {
    let stage = Stage::new(policy()).read_diary();
    let (first, rest) = DIARY.split_at(40);
    stage.declassify(&For { value: first, ..For::diary(FRIEND) }).expect("is granted");
    let split =
        |rest: &str| stage.call(5, &mail(), &args(&[("body", first), ("tail", rest), ("to", FRIEND)]));
    assert!(split(rest).is_err(), "the rest was not granted");
    split("the rest is silence").expect("the first part was");
}

#[test]
fn a_secret_that_no_evidence_speaks_of_keeps_the_label() {
    let quiet = policy().respond_to_rule(Rule::from_static("secret-span"), Response::Off);
    let stage = Stage::new(quiet).read_diary();
    stage.endorse(&For::stranger()).expect("is granted");
    let label = stage.mail(5, STRANGER, DIARY).expect("it was endorsed");
    assert_eq!(label.sensitivity(), Sensitivity::Secret, "the channel still has to refuse it");
}

#[test]
fn shadow_shows_what_a_grant_would_have_let_through() {
    let stage = Stage::new(policy().with_mode(DataFlowMode::Shadow)).read_diary();
    stage.declassify(&For::diary(FRIEND)).expect("is granted");
    for n in 0..2 {
        stage.mail(n, FRIEND, DIARY).expect("shadow stops nothing");
    }
    assert_eq!((stage.count(Action::DataflowDeclassified), stage.count(Action::DataflowFlagged)), (1, 1));
    assert_eq!(
        stage.assess(&mail(), &args(&[("to", FRIEND), ("body", DIARY)])).verdict.decision,
        Decision::Flag
    );
}
