//! Killed right after the last acknowledgement: what is there after the next start.

use crate::floor::Floor;
use crate::load;
use crate::program::Program;
use crate::questions::{Expected, Question, ask};
use crate::table::{Table, milliseconds};
use crate::workload::{Random, SERVICES, Workload};

/// Journeys whose records are counted one by one; all records are counted by service.
const JOURNEYS: usize = 200;

pub(crate) fn measure(workload: &Workload, floor: &Floor, core: Option<usize>, table: &mut Table) {
    let mut program = Program::start("", core).expect("the program starts");
    load::send(&program, workload);
    program.crash();
    let start = milliseconds(program.start);
    let complaints: Vec<String> = questions(workload, floor).into_iter().filter_map(|question| ask(&program, &[question]).wrong).collect();
    let figure = match complaints.len() {
        0 => format!("all {}, once each; ready again in {start}", floor.records),
        wrong => format!("**{wrong} of the counts are wrong**; ready again in {start}"),
    };
    table.add("kill -9 right after the last acknowledgement: found", figure, "all, once each", "");
    complaints.into_iter().for_each(|complaint| table.complain(format!("after kill -9: {complaint}")));
}

/// A record that is lost or doubled changes a count of its service, and of its journey.
fn questions(workload: &Workload, floor: &Floor) -> Vec<Question> {
    let mut random = Random::of(workload.seed, 0xdead);
    let everything = Question::count("*", Expected::Count(floor.records));
    let services = floor.services.iter().map(|(service, (records, _))| {
        let name = SERVICES[*service].name;
        Question::count(format!("service:{name}"), Expected::Count(*records))
    });
    let journeys = (0..JOURNEYS).map(|_| {
        let journey = random.below(floor.journeys.len() as u64);
        let sent = &floor.journeys[journey as usize];
        Question::count(format!("request:{}", workload.ids(journey).request), Expected::Count(sent.requested))
    });
    std::iter::once(everything).chain(services).chain(journeys).collect()
}
