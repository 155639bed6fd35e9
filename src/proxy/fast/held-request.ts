import { errorTable } from "../../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { ActiveRequest, ClientSide, FastContext } from "./fast-context.ts";

/** A request that waits for the verdict of a shared rate limit. None of its body is read. */
export class HeldRequest implements ActiveRequest {
  readonly awaitsBody = false;
  readonly #context: FastContext;
  readonly #client: ClientSide;
  readonly #exchange: Exchange;

  constructor(context: FastContext, client: ClientSide, exchange: Exchange) {
    this.#context = context;
    this.#client = client;
    this.#exchange = exchange;
  }

  onClientData(_bytes: Buffer, from: number): number {
    return from;
  }

  onClientFlushed(): void {}

  onClientGone(): void {
    this.#exchange.end(errorTable["client-closed"].status, "client-closed");
  }

  /** Whoever gives the verdict has a time limit. */
  onDeadline(): void {}

  onDefect(error: unknown): void {
    this.#context.context.defect(error);
    this.#client.destroy();
  }
}
