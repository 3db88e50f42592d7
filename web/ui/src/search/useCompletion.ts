// The query box as a combobox: arrows choose, Tab or Enter take what was chosen, Escape leaves. Without a choice Enter
// runs the query, whatever is suggested.

import { useState, type RefObject } from "react";
import { askedAt, type Asked } from "../query/complete";
import { useSuggestions, type Suggestion } from "./useSuggestions";

type Key = Pick<React.KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">;

export interface Completion {
  suggestions: readonly Suggestion[];
  /** -1 while none is chosen. */
  chosen: number;
  onInput: (box: HTMLTextAreaElement) => void;
  close: () => void;
  take: (suggestion: Suggestion) => void;
  /** Whether the key was meant for the suggestions. */
  onKey: (event: Key) => boolean;
}

export function useCompletion(box: RefObject<HTMLTextAreaElement | null>, onChange: (value: string) => void): Completion {
  const [asked, setAsked] = useState<Asked | null>(null);
  const [chosen, setChosen] = useState(-1);
  const suggestions = useSuggestions(asked);
  const at = Math.min(chosen, suggestions.length - 1);

  const close = () => {
    setAsked(null);
    setChosen(-1);
  };
  const onInput = (element: HTMLTextAreaElement) => {
    setAsked(askedAt(element.value, element.selectionStart));
    setChosen(-1);
  };
  const take = (suggestion: Suggestion) => {
    const element = box.current;
    if (!element || !asked) return;
    const caret = element.selectionStart;
    element.focus();
    element.setSelectionRange(asked.from, caret);
    // Typed by the browser, so that undo takes it back.
    if (document.execCommand("insertText", false, suggestion.text)) return;
    onChange(element.value.slice(0, asked.from) + suggestion.text + element.value.slice(caret));
    close();
  };
  const onKey = ({ key, ...held }: Key) => {
    if (suggestions.length === 0 || held.shiftKey || held.ctrlKey || held.metaKey || held.altKey) return false;
    const picked = suggestions[key === "Tab" ? Math.max(0, at) : at];
    if (key === "ArrowDown") setChosen((at + 1) % suggestions.length);
    else if (key === "ArrowUp") setChosen(at <= 0 ? suggestions.length - 1 : at - 1);
    else if (key === "Escape") close();
    else if ((key === "Tab" || key === "Enter") && picked) take(picked);
    else return false;
    return true;
  };
  return { suggestions, chosen: at, onInput, close, take, onKey };
}
