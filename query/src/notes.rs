//! What is said beside an answer that may not be what was meant: a field that no record has, a word that was meant as
//! an operator. Nothing of it changes the answer.

use std::collections::BTreeSet;

use needle_storage::FieldCounts;
use needle_storage::predicate::{Comparison, Field, FieldTest, Literal, Predicate, TextTest};

use crate::language::{LEVELS, NAMES, nearest};

/// What is to be said about an answer to a query, if it `is_empty` or not. `known` tells which fields there are.
pub(crate) fn of(predicate: &Predicate, is_empty: bool, known: impl FnOnce() -> Option<FieldCounts>) -> Vec<String> {
    let mut notes = BTreeSet::new();
    let mut named = Vec::new();
    for_each_test(predicate, &mut |leaf| {
        if let Predicate::Field { field, .. } = leaf
            && keys(field).is_some()
        {
            named.push(field);
        }
        if is_empty {
            notes.extend(about_nothing(leaf));
        }
    });
    if !named.is_empty()
        && let Some(known) = known()
    {
        notes.extend(named.into_iter().filter(|field| is_absent(field, &known)).map(|field| absent(field, &known)));
    }
    notes.into_iter().collect()
}

/// Calls `visit` with every condition that has no others within.
fn for_each_test<'a>(predicate: &'a Predicate, visit: &mut impl FnMut(&'a Predicate)) {
    match predicate {
        Predicate::And(inner) | Predicate::Or(inner) => inner.iter().for_each(|inner| for_each_test(inner, visit)),
        Predicate::Not(inner) => for_each_test(inner, visit),
        leaf => visit(leaf),
    }
}

/// The keys of an attribute. That of events stands beside a field of its own, and is none.
fn keys(field: &Field) -> Option<&[String]> {
    match field {
        Field::Any(keys) | Field::Attribute(keys) | Field::Resource(keys) => {
            Some(keys).filter(|keys| keys[0] != "event.name").map(Vec::as_slice)
        }
        _ => None,
    }
}

fn is_absent(field: &Field, known: &FieldCounts) -> bool {
    let is_known = |key: &String| match field {
        Field::Attribute(_) => known.attributes.contains_key(key),
        Field::Resource(_) => known.resource.contains_key(key),
        _ => known.attributes.contains_key(key) || known.resource.contains_key(key),
    };
    !known.more && !keys(field).unwrap_or_default().iter().any(is_known)
}

fn absent(field: &Field, known: &FieldCounts) -> String {
    let name = &keys(field).expect("only fields with keys are named")[0];
    let candidates: Vec<&str> = NAMES
        .into_iter()
        .chain(known.attributes.keys().chain(known.resource.keys()).map(String::as_str))
        .filter(|candidate| candidate != name)
        .collect();
    match nearest(name, &candidates) {
        Some(meant) => format!("no record has the field `{name}`; did you mean `{meant}`?"),
        None => format!("no record has the field `{name}`; quote the whole text if it is searched for as text"),
    }
}

/// What may be the reason that nothing was found.
fn about_nothing(leaf: &Predicate) -> Option<String> {
    match leaf {
        Predicate::Text(TextTest::Word(word)) if ["and", "or", "not"].contains(&word.as_str()) => {
            Some(format!("`{word}` is searched for as a word; write {} in capitals to combine conditions", word.to_uppercase()))
        }
        Predicate::Field {
            field: Field::Severity,
            test: FieldTest::Compare(Comparison::Equal, Literal { text, severity: None, number: None, .. }),
        } => nearest(text, &LEVELS).map(|level| format!("`{text}` is not a level of ours; did you mean {level}?")),
        Predicate::Field { field, test: FieldTest::Compare(comparison, Literal { text, number: None, duration_ns: Some(_), .. }) }
            if *comparison != Comparison::Equal =>
        {
            let name = &keys(field)?[0];
            Some(format!("`{name}` does not say its unit: numbers in it are compared with a number, not with {text}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::language::parse;

    fn said(query: &str, is_empty: bool) -> Vec<String> {
        let key = |name: &str| (name.to_owned(), BTreeMap::from([('s', 1)]));
        let known = FieldCounts {
            attributes: [key("user.id"), key("regionName")].into(),
            resource: [key("host.name")].into(),
            ..FieldCounts::default()
        };
        of(&parse(query).expect("a query"), is_empty, || Some(known))
    }

    #[test]
    fn a_field_that_no_record_has_is_named_with_the_one_that_was_meant() {
        for (query, note) in [
            ("servce:web", "no record has the field `servce`; did you mean `service`?"),
            ("-levl:error", "no record has the field `levl`; did you mean `level`?"),
            ("regionname:eu", "no record has the field `regionname`; did you mean `regionName`?"),
            ("attr.host.name:a", "no record has the field `host.name`; quote the whole text if it is searched for as text"),
            ("localhost:8080", "no record has the field `localhost`; quote the whole text if it is searched for as text"),
        ] {
            assert_eq!(said(query, false), [note], "{query}");
        }
        for query in ["user.id:7", "host:a", "service:web level:error (kind:log OR duration>1s)", "event:x", "timeout"] {
            assert_eq!(said(query, true), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn what_may_have_been_meant_is_said_when_nothing_was_found() {
        for (query, part) in [("a or b", "OR in capitals"), ("level:erorr", "did you mean error?"), ("user.id>5s", "does not say its unit")]
        {
            assert!(said(query, true).iter().any(|note| note.contains(part)), "{query}: {:?}", said(query, true));
            assert_eq!(said(query, false), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn fields_that_are_too_many_to_be_known_are_not_called_absent() {
        let known = FieldCounts { more: true, ..FieldCounts::default() };
        assert_eq!(of(&parse("servce:web").expect("a query"), true, || Some(known)), Vec::<String>::new());
    }
}
