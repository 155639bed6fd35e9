// The faults first, so that their message listener runs before the worker's.
import "./worker-faults.ts";
import "../../src/app/worker-main.ts";
