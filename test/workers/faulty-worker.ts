// The faults first, so that they hear of a message before the worker does.
import "./worker-faults.ts";
import "../../src/app/worker-main.ts";
