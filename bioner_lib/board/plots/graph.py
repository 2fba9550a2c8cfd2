"""A picture of the entities that share sentences."""

import math

import matplotlib.pyplot as plt

from .style import colours_of

_SEED = 13  # of the layout: the same graph gives the same picture


def entity_graph(graph, ax: plt.Axes) -> plt.Axes:
    """A networkx.Graph of `tagging.graph`: colour is the type, width how many sentences.

    Parts that nothing joins stand in a grid, the largest first (library: networkx).
    """
    import networkx

    types = sorted({about["type"] for _, about in graph.nodes(data=True)})
    colours, places = colours_of(types), _places(graph)
    for type in types:
        own = [key for key, about in graph.nodes(data=True) if about["type"] == type]
        sizes = [50 + 40 * graph.nodes[key]["sentences"] ** 0.5 for key in own]
        networkx.draw_networkx_nodes(
            graph, places, own, node_size=sizes, node_color=colours[type], label=type, ax=ax
        )
    widths = [0.6 + 0.6 * about["sentences"] for *_, about in graph.edges(data=True)]
    networkx.draw_networkx_edges(graph, places, width=widths, edge_color="#888", ax=ax)
    plain = {"fontsize": 8, "parse_math": False}  # a name may hold two dollars
    for key, (x, y) in places.items():
        name = graph.nodes[key]["name"]
        ax.annotate(name, (x, y), (0, 7), textcoords="offset points", ha="center", **plain)
    if types:
        ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=len(types))
    ax.margins(0.1)
    ax.set_axis_off()
    return ax


def _places(graph) -> dict[str, tuple[float, float]]:
    """A cell of a grid for each part of the graph."""
    import networkx

    parts = sorted(networkx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    columns = max(1, math.ceil(math.sqrt(len(parts))))
    places = {}
    for number, part in enumerate(parts):
        row, column = divmod(number, columns)
        own = graph.subgraph(sorted(part))
        if len(part) == 2:  # below each other: names are wide
            inside = dict(zip(sorted(part), [(0, -1), (0, 1)], strict=True))
        else:
            inside = networkx.spring_layout(own, seed=_SEED)
        size = 0.25 if len(parts) > 1 else 1.0
        for key, (x, y) in inside.items():
            places[key] = (column + size * x, size * y - row)
    return places
