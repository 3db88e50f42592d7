//! Kinds of requests.

mod alone;
mod calls;
mod contexts;
mod messages;

use crate::fleet::Fleet;
use crate::graph::{Graph, Window};
use crate::random::Random;

const MILLISECOND: u64 = 1_000_000;
/// Requests that a load test runs under one id.
const LOAD_TEST_REQUESTS: u64 = 40;

/// What happens in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scene {
    Calls,
    FanOut,
    Retries,
    ChainOfLogOnly,
    WithoutClientSpans,
    LostContext,
    LostBehindLogOnly,
    Messages,
    MessageToLogOnly,
    LinkedBatch,
    LoadTest,
    SharedSpanIds,
    MissingSpans,
    LateRecords,
    NoSpans,
}

use Scene::{
    Calls, ChainOfLogOnly, FanOut, LateRecords, LinkedBatch, LoadTest, LostBehindLogOnly, LostContext, MessageToLogOnly, Messages,
    MissingSpans, NoSpans, Retries, SharedSpanIds, WithoutClientSpans,
};

/// In which proportion they come.
const SCENES: [(Scene, u64); 15] = [
    (Calls, 30),
    (FanOut, 6),
    (Retries, 9),
    (ChainOfLogOnly, 7),
    (WithoutClientSpans, 4),
    (LostContext, 8),
    (LostBehindLogOnly, 4),
    (Messages, 5),
    (MessageToLogOnly, 3),
    (LinkedBatch, 2),
    (LoadTest, 4),
    (SharedSpanIds, 4),
    (MissingSpans, 6),
    (LateRecords, 5),
    (NoSpans, 3),
];

impl Scene {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Calls => "calls, databases, services that only log",
            FanOut => "fan-out to one log-only service",
            Retries => "retries of a log-only service",
            ChainOfLogOnly => "log-only services that call each other",
            WithoutClientSpans => "calls without a client span",
            LostContext => "a trace begun anew",
            LostBehindLogOnly => "a trace begun anew behind a log-only service",
            Messages => "messages",
            MessageToLogOnly => "messages to a log-only service",
            LinkedBatch => "a batch linked to its requests",
            LoadTest => "a load test under one id",
            SharedSpanIds => "span ids shared by client and server",
            MissingSpans => "spans that never arrived",
            LateRecords => "records after seal and merge",
            NoSpans => "no spans at all",
        }
    }

    /// Whether what calls say, or their shape, tells who called; elsewhere only times do, or nothing that arrived.
    pub(crate) fn tells_who_called(self) -> bool {
        !matches!(self, FanOut | Retries | ChainOfLogOnly | WithoutClientSpans | MissingSpans | NoSpans)
    }

    fn any(random: &mut Random) -> Scene {
        let mut left = random.below(SCENES.iter().map(|(_, weight)| weight).sum());
        for (scene, weight) in SCENES {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return scene,
            }
        }
        Calls
    }
}

/// The requests of a seed, interleaved in time.
pub(crate) fn requests(fleet: &Fleet, seed: u64, count: u64) -> Vec<(Scene, Graph<'_>)> {
    let mut random = Random::of(seed, u64::MAX - 1);
    let mut requests = Vec::new();
    let mut start = 1_700_000_000_000 * MILLISECOND;
    let mut number = 0;
    // Enough of them, however few the requests are, that its id is one that too much shares.
    let load_test_every = (count / LOAD_TEST_REQUESTS).clamp(1, 20);
    while number < count {
        start += random.exponential(40.0 * MILLISECOND as f64) as u64;
        let scene = if number.is_multiple_of(load_test_every) && number / load_test_every < LOAD_TEST_REQUESTS {
            LoadTest
        } else {
            Scene::any(&mut random)
        };
        let window = Window { from: start, to: start + random.between(60, 1_500) * MILLISECOND + random.below(MILLISECOND) };
        for mut graph in play(scene, fleet, seed, number, window) {
            graph.log_on_spans();
            number = number.max(graph.number + 1);
            requests.push((scene, graph));
        }
    }
    requests
}

fn play<'f>(scene: Scene, fleet: &'f Fleet, seed: u64, number: u64, window: Window) -> Vec<Graph<'f>> {
    let mut graph = Graph::new(fleet, seed, number);
    match scene {
        Calls => calls::any(&mut graph, window),
        FanOut => calls::fan_out(&mut graph, window),
        Retries => calls::retries(&mut graph, window),
        ChainOfLogOnly => calls::chain_of_log_only(&mut graph, window),
        WithoutClientSpans => calls::without_client_spans(&mut graph, window),
        LostContext => contexts::lost(&mut graph, window),
        LostBehindLogOnly => contexts::lost_behind_log_only(&mut graph, window),
        Messages => return messages::between_services(graph, seed, window),
        MessageToLogOnly => messages::to_log_only(&mut graph, window),
        LinkedBatch => return messages::linked_batch(graph, seed, window),
        LoadTest => {
            graph.shared = Some(format!("loadtest-{seed}"));
            calls::any(&mut graph, window);
        }
        SharedSpanIds => contexts::shared_span_ids(&mut graph, window),
        MissingSpans => contexts::missing(&mut graph, window),
        LateRecords => {
            calls::any(&mut graph, window);
            graph.late = true;
        }
        NoSpans => alone::without_spans(&mut graph, window),
    }
    vec![graph]
}
