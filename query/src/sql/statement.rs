//! Which statements are answered, and what they say before they are planned: the keys of attributes that they name.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, ShowStatementFilterPosition, ShowStatementIn,
    ShowStatementOptions, Statement as SqlStatement, Subscript, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use needle_storage::model::Signal;

use super::columns::{self, KeyPlace};
use super::failure;
use crate::error::QueryError;
use crate::limits::{SQL_BYTES_MAX, SQL_DEPTH_MAX};

/// What a statement asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// Rows, or how they would be found.
    Rows(Box<Statement>),
    /// Which tables there are.
    Tables,
    /// The columns of a table.
    Columns(Signal),
}

/// The keys of attributes that a statement may mean.
pub(super) type Keys = BTreeSet<(KeyPlace, String)>;

/// Reads one statement, and refuses all but those that ask.
pub(super) fn read(text: &str) -> Result<Asked, QueryError> {
    if text.len() > SQL_BYTES_MAX {
        return Err(failure::refused(format!("the statement is {} bytes long, more than {SQL_BYTES_MAX}: shorten it", text.len())));
    }
    let parsed = DFParserBuilder::new(text).with_recursion_limit(SQL_DEPTH_MAX).build().and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| failure::of(&error, text))?;
    match (statements.pop_front(), statements.is_empty()) {
        (None, _) => Err(failure::refused("there is no statement: write one, as in SELECT service, count(*) FROM logs GROUP BY service")),
        (Some(_), false) => Err(failure::refused("there is more than one statement: send them one by one")),
        (Some(statement), true) => asked(statement),
    }
}

fn asked(statement: Statement) -> Result<Asked, QueryError> {
    match &statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(query) => reads_only(query).map(|()| Asked::Rows(Box::new(statement))),
            SqlStatement::ExplainTable { table_name, .. } => Ok(Asked::Columns(table(table_name)?)),
            SqlStatement::ShowTables { .. } => Ok(Asked::Tables),
            SqlStatement::ShowColumns { show_options, .. } => Ok(Asked::Columns(shown_table(show_options)?)),
            _ => Err(changes()),
        },
        Statement::Explain(explain) => match explain.statement.as_ref() {
            Statement::Statement(sql) => match sql.as_ref() {
                SqlStatement::Query(query) => reads_only(query).map(|()| Asked::Rows(Box::new(statement))),
                _ => Err(changes()),
            },
            _ => Err(changes()),
        },
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Err(changes()),
    }
}

fn changes() -> QueryError {
    failure::refused("only SELECT, EXPLAIN, DESCRIBE and SHOW TABLES are answered: SQL reads here and changes nothing")
}

fn table(name: &ObjectName) -> Result<Signal, QueryError> {
    let text = name.to_string();
    signal(&text).ok_or_else(|| failure::refused(format!("there is no table {text}: ask logs or spans")))
}

fn shown_table(options: &ShowStatementOptions) -> Result<Signal, QueryError> {
    let ShowStatementOptions { show_in: Some(ShowStatementIn { parent_name: Some(name), .. }), filter_position, .. } = options else {
        return Err(failure::refused("SHOW COLUMNS needs a table: SHOW COLUMNS FROM logs"));
    };
    let unfiltered = !matches!(filter_position, Some(ShowStatementFilterPosition::Infix(_) | ShowStatementFilterPosition::Suffix(_)));
    if unfiltered { table(name) } else { Err(failure::refused("SHOW COLUMNS takes no condition: leave it out")) }
}

/// The signal whose table has that name.
fn signal(name: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| name.trim_matches('"').eq_ignore_ascii_case(signal.as_str()))
}

/// Whether nothing within a query is more than a question: a common table expression could insert, a SELECT could make
/// a table.
fn reads_only(query: &Query) -> Result<(), QueryError> {
    struct Questions;
    impl Visitor for Questions {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if asks(&query.body) && query.locks.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.into.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }

        fn pre_visit_statement(&mut self, _: &SqlStatement) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    if query.visit(&mut Questions).is_continue() { Ok(()) } else { Err(changes()) }
}

fn asks(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => true,
        SetExpr::SetOperation { left, right, .. } => asks(left) && asks(right),
        _ => false,
    }
}

/// Every name that may be the key of an attribute. Which of them are, the store knows; names that the statement gives to
/// something else are not, lest it mean another thing on the day when an attribute of that name arrives.
pub(super) fn keys(statement: &Statement) -> Keys {
    let mut names = Names::default();
    if let Some(query) = query_of(statement) {
        let _ = query.visit(&mut names);
    }
    let Names { mut keys, given } = names;
    keys.retain(|(place, key)| *place != KeyPlace::Either || !given.contains(key));
    keys
}

#[derive(Default)]
struct Names {
    keys: Keys,
    /// Of expressions that do not themselves name a column so.
    given: BTreeSet<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item {
                let mut inside = Names::default();
                let _ = expr.visit(&mut inside);
                let given = plain_name(alias);
                if !inside.keys.contains(&(KeyPlace::Either, given.clone())) {
                    self.given.insert(given);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(name) => self.keys.extend([(KeyPlace::Either, plain_name(name))]),
            Expr::CompoundIdentifier(names) => self.keys.extend(names.last().map(|name| (KeyPlace::Either, plain_name(name)))),
            Expr::CompoundFieldAccess { root, access_chain } => self.keys.extend(accessed(root, access_chain)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Names without quotes are in small letters, as the planner reads them.
fn plain_name(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn query_of(statement: &Statement) -> Option<&Query> {
    match statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(query) => Some(query),
            _ => None,
        },
        Statement::Explain(explain) => query_of(&explain.statement),
        _ => None,
    }
}

fn query_of_mut(statement: &mut Statement) -> Option<&mut Query> {
    match statement {
        Statement::Statement(sql) => match sql.as_mut() {
            SqlStatement::Query(query) => Some(query),
            _ => None,
        },
        Statement::Explain(explain) => query_of_mut(&mut explain.statement),
        _ => None,
    }
}

/// `attributes['key']`, also behind the name of a table.
fn accessed(root: &Expr, chain: &[AccessExpr]) -> Option<(KeyPlace, String)> {
    let parts = match root {
        Expr::Identifier(name) => vec![name],
        Expr::CompoundIdentifier(names) => names.iter().collect(),
        _ => Vec::new(),
    };
    let dotted = chain.iter().filter_map(|access| match access {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(name),
        _ => None,
    });
    let place = match parts.into_iter().chain(dotted).next_back()?.value.to_lowercase().as_str() {
        "attributes" => KeyPlace::Attributes,
        "resource" => KeyPlace::Resource,
        _ => return None,
    };
    chain.iter().find_map(|access| match access {
        AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
            Value::SingleQuotedString(key) | Value::DoubleQuotedString(key) => Some((place, key.clone())),
            _ => None,
        },
        _ => None,
    })
}

/// Writes `*` out, so that it stands for the columns of records and not also for the keys that are named elsewhere.
pub(super) fn write_stars_out(statement: &mut Statement) {
    struct Stars(BTreeSet<String>);
    impl VisitorMut for Stars {
        type Break = ();

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            let tables = query.with.iter().flat_map(|with| &with.cte_tables);
            self.0.extend(tables.map(|table| table.alias.name.value.to_lowercase()));
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            write_out(select, &self.0);
            ControlFlow::Continue(())
        }
    }
    if let Some(query) = query_of_mut(statement) {
        let _ = query.visit(&mut Stars(BTreeSet::new()));
    }
}

/// `*` of a SELECT from one of our tables alone.
fn write_out(select: &mut Select, shadowed: &BTreeSet<String>) {
    let [from] = select.from.as_slice() else { return };
    let TableFactor::Table { name, .. } = &from.relation else { return };
    let text = name.to_string();
    let Some(signal) = signal(&text).filter(|_| from.joins.is_empty() && !shadowed.contains(&text.to_lowercase())) else { return };
    let columns =
        || columns::of_records(signal).into_iter().map(|column| SelectItem::UnnamedExpr(Expr::Identifier(Ident::new(column.name))));
    let items = std::mem::take(&mut select.projection);
    select.projection = items
        .into_iter()
        .flat_map(|item| match item {
            SelectItem::Wildcard(options) if options == Default::default() => columns().collect(),
            other => vec![other],
        })
        .collect();
}
