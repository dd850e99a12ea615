//! Picks against a slow reference.

use std::collections::BTreeSet;

use graft_security::dataflow::plan::{Pick, Plan, Source};
use proptest::prelude::*;

use crate::common::{Value, object, under};

/// A record: what is picked, and what the pick looks at. Some records have no size or no name.
#[derive(Clone, Debug)]
struct Row {
    id: u8,
    size: Option<u8>,
    name: Option<char>,
}

fn row() -> impl Strategy<Value = Row> {
    (
        0..4_u8,
        proptest::option::weighted(0.9, 0..4_u8),
        proptest::option::weighted(0.9, prop::char::range('a', 'c')),
    )
        .prop_map(|(id, size, name)| Row { id, size, name })
}

fn value(row: &Row) -> Value {
    let mut members = vec![("id".to_owned(), f64::from(row.id).into())];
    members.extend(row.size.map(|size| ("size".to_owned(), f64::from(size).into())));
    members.extend(row.name.map(|name| ("name".to_owned(), name.to_string().as_str().into())));
    Value::Object(members)
}

/// What the pick comes to: the ids, and whether there is no doubt about them.
fn reference(rows: &[Row], pick: &Pick) -> (BTreeSet<u8>, bool) {
    let ids = |rows: &mut dyn Iterator<Item = &Row>| rows.map(|row| row.id).collect::<BTreeSet<u8>>();
    let extreme =
        |best: Option<u8>| ids(&mut rows.iter().filter(|row| row.size.is_some() && row.size == best));
    let picked = match pick {
        Pick::Only | Pick::Any => ids(&mut rows.iter()),
        Pick::First => ids(&mut rows.first().into_iter()),
        Pick::Last => ids(&mut rows.last().into_iter()),
        Pick::Max(_) => extreme(rows.iter().filter_map(|row| row.size).max()),
        Pick::Min(_) => extreme(rows.iter().filter_map(|row| row.size).min()),
        Pick::Where(_, name) => {
            ids(&mut rows.iter().filter(|row| row.name.is_some_and(|own| own.to_string() == *name)))
        }
        _ => unreachable!("no such pick is drawn"),
    };
    let decides = *pick == Pick::Any || picked.len() == 1;
    (picked, decides)
}

proptest! {
    #[test]
    fn picks_agree_with_the_slow_reference(
        calls in proptest::collection::vec(proptest::collection::vec(row(), 0..5), 1..4),
        pick in prop_oneof![
            Just(Pick::Only), Just(Pick::Any), Just(Pick::First), Just(Pick::Last),
            Just(Pick::Max("size".into())), Just(Pick::Min("size".into())), Just(Pick::Where("name".into(), "A".into())),
        ],
    ) {
        let run = under(Plan::bound().step("send", |step| step.arg("id", Source::from("find").path("$.rows[*].id").pick(pick.clone()))));
        for rows in &calls {
            run.finds(object([("rows", Value::List(rows.iter().map(value).collect()))]));
        }
        let rows: Vec<Row> = calls.into_iter().flatten().collect();
        let folded = match &pick {
            Pick::Where(field, name) => Pick::Where(field.clone(), name.to_lowercase()),
            other => other.clone(),
        };
        let (picked, decides) = reference(&rows, &folded);
        for id in 0..5_u8 {
            let expected = match (picked.contains(&id), decides) {
                (true, true) => "allow",
                (true, false) => "ask undecided",
                (false, _) => "block not-from-source",
            };
            prop_assert_eq!(run.says(object([("id", f64::from(id).into())])), expected, "{} of {:?}, {}", id, rows, pick);
        }
    }
}
