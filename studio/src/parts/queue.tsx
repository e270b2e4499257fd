// SPDX-License-Identifier: GPL-3.0-or-later
import { cancelJob, removeJob, retryJob } from "../api";
import { store, useStore, type Upload } from "../store";
import type { Job } from "../types";
import { statusText } from "../words";
import { Bar } from "./bar";

export function Queue() {
  const { snapshot, uploads } = useStore();
  const jobs = snapshot?.jobs ?? [];
  if (!jobs.length && !uploads.length) return null;
  return (
    <section class="card queue" aria-label="Recordings">
      <ul>
        {uploads.map((item) => (
          <Sending key={item.key} item={item} />
        ))}
        {[...jobs].reverse().map((job) => (
          <Row key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}

function Sending({ item }: { item: Upload }) {
  return (
    <li>
      <div class="what">
        <span class="name">{item.name}</span>
        <span class="status">Copying {Math.floor(item.progress * 100)} %</span>
        <Bar part={item.progress} label={`Copying ${item.name}`} />
      </div>
      <div class="acts">
        <button type="button" onClick={() => item.stop.abort()}>
          Cancel
        </button>
      </div>
    </li>
  );
}

function Row({ job }: { job: Job }) {
  const { selected, settings } = useStore();
  const active = job.status === "running" || job.status === "waiting";
  const again = job.status === "done" ? "Again" : "Retry";
  return (
    <li class={job.id === selected ? "selected" : ""} data-status={job.status}>
      <button
        type="button" class="what" aria-current={job.id === selected ? "true" : undefined}
        onClick={() => store.select(job.id)}
      >
        <span class="name">{job.name}</span>
        <span class={job.status === "failed" ? "status bad" : "status"}>{statusText(job)}</span>
        <span class="status">
          {job.settings.model}
          {job.settings.preset && `, ${job.settings.preset}`}
        </span>
        {job.warnings.map((warning) => (
          <span key={warning} class="status warn">
            {warning}
          </span>
        ))}
      </button>
      {job.status === "running" && <Bar part={job.progress} label={`Progress of ${job.name}`} />}
      <div class="acts">
        {active ? (
          <button
            type="button" aria-label={`Cancel ${job.name}`}
            onClick={() => store.try(cancelJob(job.id))}
          >
            Cancel
          </button>
        ) : (
          <>
            <button
              type="button" aria-label={`${again}: separate ${job.name} as the settings say`}
              title="Separate it as the settings above say"
              onClick={() => store.try(retryJob(job.id, settings))}
            >
              {again}
            </button>
            <button
              type="button" aria-label={`Remove ${job.name}`}
              title="Out of the list; its stems stay in the folder"
              onClick={() => store.try(removeJob(job.id, false))}
            >
              Remove
            </button>
            <button
              type="button" aria-label={`Delete ${job.name} and its stems`}
              title="Out of the list, and its stems from the disk"
              onClick={() => {
                if (window.confirm(`Delete ${job.name} and its stems from the disk?`))
                  store.try(removeJob(job.id, true));
              }}
            >
              Delete
            </button>
          </>
        )}
      </div>
    </li>
  );
}
