export function SplitEditor(_: { readonly release: string }) {
  return null;
}
