import { isMainThread, parentPort } from "node:worker_threads";
import { ApiClient } from "../../kubernetes/api-client.ts";
import { findAccess } from "../../kubernetes/find-access.ts";
import { scheduleUnref } from "../../upstream/clock.ts";
import { GatewayController } from "./gateway-controller.ts";
import type { GatewayReply, GatewayRequest } from "./gateway-messages.ts";

if (isMainThread || parentPort === null) throw new TypeError("This file runs only as a worker thread of Perch.");
const port = parentPort;
let controller: GatewayController | undefined;

port.on("message", (request: GatewayRequest) => {
  switch (request.kind) {
    case "start":
      controller = new GatewayController(
        request,
        new ApiClient(findAccess(request.loader.env, () => performance.now())),
        (reply: GatewayReply) => port.postMessage(reply),
        scheduleUnref,
      );
      break;
    case "loaded":
      controller?.loaded(request);
      break;
    case "leader":
      controller?.lead(request.isLeader);
      break;
  }
});
