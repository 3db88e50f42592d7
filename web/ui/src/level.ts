// Levels: one word per range of OTLP severity numbers, whatever the source wrote.

import type { LogOrSpan } from "./api";

export type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "none";

export function levelOf(record: LogOrSpan): Level {
  if (record.kind === "span") return isErrorStatus(record.status) ? "error" : "none";
  return levelOfNumber(record.severity_number ?? 0) ?? levelOfText(record.severity ?? "");
}

export function levelOfNumber(number: number): Level | null {
  if (number < 1 || number > 24) return null;
  return (["trace", "debug", "info", "warn", "error", "fatal"] as const)[Math.floor((number - 1) / 4)] ?? null;
}

export function levelOfText(text: string): Level {
  const word = text.toLowerCase();
  if (/^(fatal|crit|critical|emerg|alert|panic)/.test(word)) return "fatal";
  if (/^err/.test(word)) return "error";
  if (/^warn/.test(word)) return "warn";
  if (/^(info|notice)/.test(word)) return "info";
  if (/^(debug|fine)/.test(word)) return "debug";
  return /^trace/.test(word) ? "trace" : "none";
}

export function isErrorStatus(status: string | undefined): boolean {
  return status !== undefined && /error/i.test(status);
}

export function isErrorLog(record: LogOrSpan): boolean {
  const level = levelOf(record);
  return record.kind === "log" && (level === "error" || level === "fatal");
}
