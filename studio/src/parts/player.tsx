// SPDX-License-Identifier: GPL-3.0-or-later
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { hits as getHits } from "../api";
import { Engine } from "../audio/engine";
import { moved, zoomed, type View } from "../draw/view";
import { handleKey } from "../keys";
import { store } from "../store";
import { lanesOf, type Hit, type Job } from "../types";
import { statusText } from "../words";
import { Lane } from "./lane";
import { Ruler } from "./ruler";
import { TakeAway } from "./takeaway";
import { Transport } from "./transport";

declare global {
  interface Window {
    /** For the console and for tests: the engine of what is shown. */
    larsStudio?: Engine;
  }
}

/** Draw again with each change of the engine. */
export function useEngine(engine: Engine): void {
  const [, redraw] = useState(0);
  useEffect(() => engine.subscribe(() => redraw((count) => count + 1)), [engine]);
}

export function Player({ job }: { job: Job }) {
  // The key of this component changes when there are other lanes.
  const engine = useMemo(() => new Engine(job), []);
  const [view, setView] = useState<View>({ start: 0, end: job.frames });
  const [hits, setHits] = useState<Hit[]>([]);
  const area = useRef<HTMLDivElement>(null);
  const latest = useRef(view);
  latest.current = view;
  useEngine(engine);
  useEffect(() => {
    window.larsStudio = engine;
    engine.follow();
    return () => engine.close();
  }, [engine]);
  useEffect(() => {
    if (job.hits !== "done") return;
    store.try(getHits(job.id).then(setHits));
    store.try(engine.loadLevels());
  }, [job.hits, job.id, engine]);
  useEffect(() => {
    if (engine.error) store.say(engine.error);
  }, [engine.error]);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => handleKey(event, engine, latest.current, setView);
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [engine]);
  useEffect(() => {
    // Not passive: the page must not scroll or grow instead.
    const element = area.current;
    const wheel = (event: WheelEvent) => {
      const now = latest.current;
      const size = now.end - now.start;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        setView(zoomed(now, Math.exp(-event.deltaY / 200), frameAt(event.clientX), job.frames));
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
        event.preventDefault();
        const by = (event.deltaX || event.deltaY) / Math.max(1, waveBox().width);
        setView(moved(now, by * size, job.frames));
      }
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  }, [job.frames]);

  const waveBox = () =>
    (area.current?.querySelector(".wave") ?? document.body).getBoundingClientRect();
  const frameAt = (x: number) => {
    const box = waveBox();
    const part = Math.min(1, Math.max(0, (x - box.left) / Math.max(1, box.width)));
    return latest.current.start + part * (latest.current.end - latest.current.start);
  };
  const lanes = lanesOf(job);
  return (
    <>
      <section class="card player" aria-label={`Player of ${job.name}`}>
        <div class="title">
          <h2>{job.name}</h2>
          <span class="note">
            {job.channels === 1 ? "mono" : "stereo"}, {job.rate / 1000} kHz
            {job.status === "running" || job.status === "waiting" ? `. ${statusText(job)}` : ""}
          </span>
        </div>
        <Transport engine={engine} job={job} view={view} setView={setView} />
        <div class="lanes" ref={area}>
          <Ruler engine={engine} view={view} frameAt={frameAt} />
          {lanes.map((lane, index) => (
            <Lane
              key={lane} engine={engine} job={job} lane={lane} view={view} number={index}
              hits={hits.filter((hit) => hit.stem === lane)} frameAt={frameAt}
            />
          ))}
          <Playhead engine={engine} view={view} follow={setView} />
        </div>
        {job.hits === "failed" && <p class="note bad">{job.hit_error}</p>}
      </section>
      {job.status === "done" && <TakeAway engine={engine} job={job} />}
    </>
  );
}

/** The line that moves, over all lanes; turns the page when it runs out of the view. */
function Playhead({ engine, view, follow }: {
  engine: Engine; view: View; follow: (view: View) => void;
}) {
  const line = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let wanted = 0;
    const draw = () => {
      const frame = engine.position;
      const part = (frame - view.start) / (view.end - view.start);
      const element = line.current;
      if (element) {
        element.style.left = `${part * 100}%`;
        element.hidden = part < 0 || part > 1;
      }
      if (engine.playing && part > 1 && part < 1.2)
        follow(moved(view, view.end - view.start, engine.frames));
      wanted = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(wanted);
  }, [engine, view, follow]);
  return (
    <div class="over-waves" aria-hidden="true">
      <div class="playhead" ref={line} />
    </div>
  );
}
