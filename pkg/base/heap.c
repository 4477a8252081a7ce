/* Intrusive binary min-heap; see heap.h. Pure. */

#include "base/heap.h"

#include <stdlib.h>

#include "base/mem.h"

void heap_done(struct heap *h)
{
	free(h->nodes);
	*h = (struct heap){ 0 };
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct heap *h, size_t i, struct heap_node *node)
{
	h->nodes[i] = node;
	node->place = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
	struct heap_node *node = h->nodes[i];
	while (i > 0 && before(node, h->nodes[(i - 1) / 2])) {
		place(h, i, h->nodes[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(h, i, node);
}

static void sift_down(struct heap *h, size_t i)
{
	struct heap_node *node = h->nodes[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->count)
			break;
		if (child + 1 < h->count && before(h->nodes[child + 1], h->nodes[child]))
			child++;
		if (!before(h->nodes[child], node))
			break;
		place(h, i, h->nodes[child]);
		i = child;
	}
	place(h, i, node);
}

void heap_add(struct heap *h, struct heap_node *node, uint64_t key)
{
	if (h->count == h->cap) {
		h->cap = MAX(h->cap * 2, (size_t)16);
		h->nodes = xreallocarray(h->nodes, h->cap, sizeof(h->nodes[0]));
	}
	node->key = key;
	node->seq = h->next_seq++;
	h->nodes[h->count] = node;
	sift_up(h, h->count++);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	if (node->place == 0)
		return;
	size_t i = node->place - 1;
	struct heap_node *last = h->nodes[--h->count];
	node->place = 0;
	if (last == node)
		return;
	place(h, i, last);
	sift_up(h, i);
	sift_down(h, last->place - 1);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->count ? h->nodes[0] : NULL;
}

bool heap_contains(const struct heap_node *node)
{
	return node->place != 0;
}
