/** Whether the promise is fulfilled within this time. Keeps the process alive until then, as a start needs it. */
export async function within(ms: number, awaited: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([awaited.then(() => true), promise]);
  } finally {
    clearTimeout(timer);
  }
}
