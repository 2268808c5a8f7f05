// `tetcd/client`, and the package of the client alone.

export * from '../client/index.ts';
