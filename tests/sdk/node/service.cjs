// A plain HTTP service; with BACK_URL it asks another one first.
const http = require("node:http");
const { logs, SeverityNumber } = require("@opentelemetry/api-logs");

const name = process.env.OTEL_SERVICE_NAME;
const logger = logs.getLogger(name);

function log(severityNumber, severityText, body) {
  logger.emit({ severityNumber, severityText, body, attributes: { "thread.id": 7, spare: [1, "two", true] } });
}

function ask(url) {
  return new Promise((resolve, reject) => {
    http.get(url, (answer) => answer.resume().on("end", () => resolve(answer.statusCode))).on("error", reject);
  });
}

const server = http.createServer(async (request, response) => {
  log(SeverityNumber.INFO, "INFO", `${name} got ${request.url}`);
  const status = process.env.BACK_URL ? await ask(process.env.BACK_URL + request.url) : request.url.endsWith("nothing") ? 500 : 200;
  if (status !== 200) log(SeverityNumber.ERROR, "ERROR", `${name} failed`);
  response.writeHead(status).end();
});
server.listen(0, "127.0.0.1", () => console.log(`serving http://127.0.0.1:${server.address().port}`));
