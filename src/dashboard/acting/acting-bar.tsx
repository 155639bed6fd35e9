export function ActingBar(_: { readonly release: string }) {
  return null;
}
