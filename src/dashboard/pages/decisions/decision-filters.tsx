import { releases } from "../../store/live.ts";
import { decisionsWords } from "../../words/decisions.ts";
import { type DecisionFilter, noFilter } from "./decision-rows.ts";

interface DecisionFiltersProps {
  readonly filter: DecisionFilter;
  readonly onChange: (filter: DecisionFilter) => void;
}

const statuses = ["2xx", "3xx", "4xx", "5xx"] as const;

export function DecisionFilters({ filter, onChange }: DecisionFiltersProps) {
  const words = decisionsWords.value;
  const known = releases.value ?? [];
  const chosen = known.find(({ release }) => release === filter.release);
  const change = (part: Partial<DecisionFilter>) => {
    const next = { ...filter, ...part };
    const isEmpty = Object.values(next).every((value) => value === "");
    onChange(isEmpty ? noFilter : next);
  };
  const reasons = Object.entries(words.reasons);
  return (
    <fieldset class="toolbar filters">
      <legend class="visually-hidden">{words.filters}</legend>
      <Choice
        label={words.release}
        value={filter.release}
        options={known.map(({ release }) => [release, release])}
        // The versions and rules of another release are others.
        onChange={(release) => change({ release, version: "", rule: "" })}
      />
      <Choice
        label={words.version}
        value={filter.version}
        isDisabled={chosen === undefined}
        options={chosen?.versions.map(({ version }) => [version, version]) ?? []}
        onChange={(version) => change({ version })}
      />
      <Choice label={words.reason} value={filter.reason} options={reasons} onChange={(reason) => change({ reason })} />
      <Choice
        label={words.rule}
        value={filter.rule}
        isDisabled={chosen === undefined || chosen.rules.length === 0}
        options={chosen?.rules.map(({ rule }) => [rule, rule]) ?? []}
        onChange={(rule) => change({ rule })}
      />
      <Choice
        label={words.status}
        value={filter.status}
        options={statuses.map((status) => [status, status])}
        onChange={(status) => change({ status })}
      />
      <button type="button" disabled={filter === noFilter} onClick={() => onChange(noFilter)}>
        {words.clear}
      </button>
    </fieldset>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly isDisabled?: boolean;
  readonly onChange: (value: string) => void;
}

function Choice({ label, value, options, isDisabled = false, onChange }: ChoiceProps) {
  return (
    <label>
      {label}
      <select value={value} disabled={isDisabled} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">{decisionsWords.value.all}</option>
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
