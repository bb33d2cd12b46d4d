"""A cut-out puppet of the character: the picture's own pixels, limb by limb, where a pose says. No network is needed.

1. which pixels belong to which part                 `parts.cut`
2. where each part goes in a pose                    `moves`
3. parts warped and laid over each other             `puppet.Puppet`
4. the background where the figure stood             `plate.fill`
"""
