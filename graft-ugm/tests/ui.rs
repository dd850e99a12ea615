//! What the compiler says when something cannot be described. The words are reviewed: they are an interface.

#[test]
fn what_cannot_be_described_says_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
