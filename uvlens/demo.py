"""`uvlens demo`: an ALMA observation of a lensed dusty galaxy, simulated and fitted."""

SIMULATION = {
    "array": "alma.cycle10.3",
    "phase_center": {"ra": "04h18m39.67s", "dec": "-47d51m52.7s"},
    "hour_angle": [-0.75, 0.75],
    "integration": 90.0,
    "frequency": 343.5e9,
    "bandwidth": 7.5e9,
    "n_channels": 2,
    "noise": {"tsys": 150.0},
    "seed": 1,
    "name": "demo",
    "sky": {"size": 6.0, "pixel_scale": 0.02},
    "lens": {
        "redshift": 0.6,
        "mass": [
            {"profile": "SIE", "theta_E": 1.2, "e1": 0.08, "e2": -0.12, "center_x": 0.05, "center_y": -0.04},
            {"profile": "Shear", "gamma1": 0.03, "gamma2": -0.04},
        ],
    },
    "source": {
        "redshift": 3.2,
        # a disc with clumps of star formation: nothing that a Sersic profile describes
        "light": [
            {
                "profile": "Gaussian",
                "flux": 3.0e-4,
                "sigma": 0.16,
                "e1": 0.1,
                "e2": 0.15,
                "center_x": 0.12,
                "center_y": 0.05,
            },
            {"profile": "Gaussian", "flux": 1.3e-4, "sigma": 0.045, "center_x": 0.02, "center_y": -0.07},
            {"profile": "Gaussian", "flux": 1.6e-4, "sigma": 0.05, "center_x": 0.21, "center_y": 0.14},
            {"profile": "Gaussian", "flux": 0.9e-4, "sigma": 0.045, "center_x": 0.27, "center_y": -0.04},
            {"profile": "Gaussian", "flux": 0.6e-4, "sigma": 0.045, "center_x": -0.04, "center_y": 0.17},
        ],
    },
}

MODEL = {
    "data": [{"file": "demo.npz", "weights": "file"}],
    "image_plane": {"pixel_scale": "auto", "pixel_window": True, "mask": {"disc": {"radius": 2.1}}},
    "lens": {
        "redshift": 0.6,
        "mass": [
            {
                "profile": "SIE",
                "theta_E": {"uniform": [0.7, 1.7]},
                "e1": {"truncnormal": [0.0, 0.2, -0.5, 0.5]},
                "e2": {"truncnormal": [0.0, 0.2, -0.5, 0.5]},
                "center_x": {"normal": [0.0, 0.1]},
                "center_y": {"normal": [0.0, 0.1]},
            },
            {"profile": "Shear", "gamma1": {"normal": [0.0, 0.1]}, "gamma2": {"normal": [0.0, 0.1]}},
        ],
    },
    "source": {
        "redshift": 3.2,
        "pixels": {
            "mesh": {"type": "rectangular", "shape": [20, 20], "extent": 0.5, "center": [0.1, 0.05]},
            "regularization": {"type": "gradient", "strength": "auto"},
            "positive": True,
        },
    },
    "positions": "auto",
    "fit": {"method": "auto", "seed": 1},
}
