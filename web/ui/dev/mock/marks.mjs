// What the real server works out about a tree: silent gaps, alike siblings, self times, and the tree as columns.

/** Leaves of the critical path that recorded nothing for a tenth of the journey. */
export function gapsOf(nodes, durationNanos) {
  return nodes
    .filter((node) => node.critical && node.children === 0 && node.logs.length === 0 && node.duration_ns >= durationNanos / 10)
    .map(({ node_id, start, duration_ns }) => ({ node_id, start, duration_ns }))
    .sort((a, b) => b.duration_ns - a.duration_ns);
}

export function groupsOf(nodes) {
  const groups = new Map();
  for (const node of nodes) {
    if (!node.span) continue;
    const key = JSON.stringify([node.parent_node_id, node.service, node.name, node.kind]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(node);
  }
  return [...groups.values()].filter((alike) => alike.length >= 5).map(groupOf);
}

function groupOf(alike) {
  const [first] = alike;
  const slowest = alike.reduce((a, b) => (b.duration_ns > a.duration_ns ? b : a));
  return {
    parent_node_id: first.parent_node_id,
    service: first.service,
    name: first.name,
    kind: first.kind,
    count: alike.length,
    errors: alike.filter((node) => node.status === "error").length,
    total_ns: alike.reduce((sum, node) => sum + node.duration_ns, 0),
    slowest_node_id: slowest.node_id,
    slowest_ns: slowest.duration_ns,
  };
}

export function skeletonOf({ nodes, ...head }) {
  const places = new Map(nodes.map((node, i) => [node.node_id, i]));
  const where = (test) => nodes.flatMap((node, i) => (test(node) ? [i] : []));
  const begin = Date.parse(head.start);
  return {
    ...head,
    columns: {
      node_id: nodes.map((node) => node.node_id),
      parent: nodes.map((node) => places.get(node.parent_node_id) ?? -1),
      service: dictionary(nodes, "service"),
      name: dictionary(nodes, "name"),
      kind: dictionary(nodes, "kind"),
      status: dictionary(nodes, "status"),
      start_after_ns: nodes.map((node) => Math.round((Date.parse(node.start) - begin) * 1e6)),
      duration_ns: nodes.map((node) => node.duration_ns),
      self_time_ns: nodes.map((node) => node.self_time_ns),
      logs: nodes.map((node) => node.logs.length),
      log_errors: nodes.map((node) => node.logs.filter((log) => log.severity_number >= 17).length),
    },
    critical: where((node) => node.critical),
    missing: where((node) => node.missing),
    inferred: where((node) => node.inferred).map((node) => ({ node, ...nodes[node].inferred })),
    flags: [],
  };
}

function dictionary(nodes, field) {
  const values = [...new Set(nodes.map((node) => node[field]))];
  const codes = new Map(values.map((value, i) => [value, i]));
  return { values, codes: nodes.map((node) => codes.get(node[field])) };
}
