import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { freeAfterTest } from "./freed.ts";

const text = {
  requestSerialize: (value: string) => Buffer.from(value),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (value: string) => Buffer.from(value),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
};
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Texts/${name}`,
  requestStream,
  responseStream,
  ...text,
});

/** A service with every kind of call, whose messages are strings. */
const definition: ServiceDefinition = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  stream: method("Stream", false, true),
  chat: method("Chat", true, true),
};

export interface TextsServer {
  readonly unary?: handleUnaryCall<string, string>;
  readonly collect?: handleClientStreamingCall<string, string>;
  readonly stream?: handleServerStreamingCall<string, string>;
  readonly chat?: handleBidiStreamingCall<string, string>;
}

type Answered = (error: ServiceError | null, answer?: string) => void;
type Options = { readonly deadline?: Date };

export interface TextsClient extends Client {
  unary(message: string, metadata: Metadata, options: Options, answered: Answered): ClientUnaryCall;
  collect(metadata: Metadata, options: Options, answered: Answered): ClientWritableStream<string>;
  stream(message: string, metadata: Metadata, options?: Options): ClientReadableStream<string>;
  chat(metadata: Metadata, options?: Options): ClientDuplexStream<string, string>;
}

/** The origin of a server of @grpc/grpc-js. */
export async function grpcServer(handlers: TextsServer): Promise<string> {
  const server = new Server();
  server.addService(definition, { ...handlers });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
  const port = await promise;
  freeAfterTest(async () => server.forceShutdown());
  return `http://127.0.0.1:${port}`;
}

/** A client of @grpc/grpc-js without retries. */
export function grpcClient(port: number): TextsClient {
  const Texts = makeGenericClientConstructor(definition, "Texts");
  const client = new Texts(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  freeAfterTest(async () => client.close());
  return client as unknown as TextsClient;
}
