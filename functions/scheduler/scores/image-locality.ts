import { MAX_SCORE, type Score, type Snapshot } from '../framework.ts';

const MIB = 1024 * 1024;
const SMALL = 23 * MIB;
const LARGE_PER_CONTAINER = 1000 * MIB;

interface State {
  images: readonly string[];
  snapshot: Snapshot;
}

/** An image without a tag or digest is `:latest`. */
const normalised = (image: string): string =>
  image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;

/** ImageLocality: images already on the node by size, less the rarer they are, so that pods do not crowd one node. */
export const imageLocality: Score<State> = {
  name: 'ImageLocality',
  weight: 1,
  prepare: ({ pod }, snapshot) => {
    if (snapshot.imageNodes.size === 0) return undefined;
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const images = containers.map((c) => normalised(c.image ?? ''));
    return images.some((i) => snapshot.imageNodes.has(i)) ? { images, snapshot } : undefined;
  },
  score: ({ images, snapshot }, node) => {
    let bytes = 0;
    for (const image of images) {
      const size = node.images?.get(image);
      if (size) bytes += Math.floor((size * (snapshot.imageNodes.get(image) ?? 0)) / snapshot.nodes.length);
    }
    const large = LARGE_PER_CONTAINER * images.length;
    const within = Math.max(SMALL, Math.min(large, bytes));
    return Math.floor((MAX_SCORE * (within - SMALL)) / (large - SMALL));
  },
};
