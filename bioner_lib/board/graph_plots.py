"""A picture of the entities that share sentences."""

import matplotlib.pyplot as plt

from .plots import colours_of

_SEED = 13  # of the layout: the same graph gives the same picture


def entity_graph(graph, ax: plt.Axes) -> plt.Axes:
    """A networkx.Graph of `tagging.graph`: colour is the type, width how many sentences.

    Nodes that are joined lie near each other (library: networkx).
    """
    import networkx

    types = sorted({about["type"] for _, about in graph.nodes(data=True)})
    colours = colours_of(types)
    places = networkx.spring_layout(graph, seed=_SEED, k=1.6 / max(1, len(graph)) ** 0.5)
    for type in types:
        own = [key for key, about in graph.nodes(data=True) if about["type"] == type]
        sizes = [60 + 40 * graph.nodes[key]["sentences"] ** 0.5 for key in own]
        networkx.draw_networkx_nodes(
            graph, places, own, node_size=sizes, node_color=colours[type], label=type, ax=ax
        )
    widths = [0.6 + 0.6 * about["sentences"] for *_, about in graph.edges(data=True)]
    networkx.draw_networkx_edges(graph, places, width=widths, edge_color="#888", ax=ax)
    names = {key: about["name"] for key, about in graph.nodes(data=True)}
    networkx.draw_networkx_labels(graph, places, names, font_size=8, ax=ax)
    if types:
        ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=len(types))
    ax.margins(0.15)
    ax.set_axis_off()
    return ax
